"""Routes, networks and certificates of one edge. In: the wanted ones. Out: its configuration written, and a
running HAProxy reloaded where it runs another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployer.adapters.haproxy.edge_folder import EdgeFolder
from deployer.adapters.haproxy.runtime_socket import RuntimeSocket
from deployer.adapters.haproxy.slots import open_addresses
from deployer.core.compose.routes import Route
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.docker.haproxy_config import Slots, fingerprint_in, fit_slots, merge_routes, slots_in
from deployer.core.errors import CertificateInvalid, EdgeUnavailable


class EdgeConfiguration:
    """Changes what one edge is configured with: routes, peer networks, certificates."""

    def __init__(self, folder: EdgeFolder, runtime: RuntimeSocket) -> None:
        self._folder = folder
        self._runtime = runtime

    def prepare(
        self,
        routes: Sequence[Route],
        certificates: Mapping[str, str] | None = None,
        peers: Sequence[PeerNetwork] | None = None,
        present: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Adds `routes` to the configuration; reloads a running edge only if needed. With `certificates` the
        edge serves these from now on, with `peers` these are its networks. A new route leads to `present`,
        the addresses of its service's replicas. Raises CertificateInvalid.
        """
        self._folder.make()
        if certificates is not None:
            self.certify(certificates)
        before = self._folder.routes()
        known = {route.name for route in before}
        new = [route for route in merge_routes(before, routes) if route.name not in known]
        places = {route.name: (present or {}).get(route.service, ())[: route.slots // 2] for route in new}
        added = {name: dict(enumerate(addresses, 1)) for name, addresses in places.items()}
        self._configure(merge_routes(before, routes), peers, added)

    def certify(self, certificates: Mapping[str, str]) -> bool:
        """Serves these certificates (file name → PEM text) from now on, without a lost request. True if they
        differ from the ones before. Raises CertificateInvalid, and keeps the ones before, if HAProxy refuses
        them.
        """
        before, text = self._folder.certificates(), self._folder.configuration()
        if before == certificates:
            return False
        self._folder.save_certificates(certificates)
        try:
            self._configure(self._folder.routes())
        except EdgeUnavailable as error:
            self._folder.save_certificates(before)
            self._folder.save(text)
            raise CertificateInvalid(
                f"the certificates stay as they were: {error}", hint="HAProxy's message says what it refuses"
            ) from None
        return True

    def certificates(self) -> dict[str, str]:
        """Returns file name → PEM text of the served certificates."""
        return self._folder.certificates()

    def ends_tls(self) -> bool:
        return any(route.tls for route in self._folder.routes())

    def reconcile(self, routes: Sequence[Route]) -> None:
        """Removes every other route."""
        self._configure(routes)

    def _configure(
        self,
        routes: Sequence[Route],
        peers: Sequence[PeerNetwork] | None = None,
        added: Slots | None = None,
    ) -> None:
        """Writes the configuration; reloads a running edge only if it runs another one: other routes, or a
        file of an older deployer.
        """
        slots = self._runtime.slots(self._folder.routes())
        live = {name: open_addresses(found) for name, found in slots.items() if found}
        known: Slots = {**(added or {}), **slots_in(self._folder.configuration()), **live}
        self._folder.save(self._folder.render(routes, fit_slots(routes, known), peers))
        if self._runtime.fingerprint() not in ("", fingerprint_in(self._folder.configuration())):
            self._runtime.reload()
