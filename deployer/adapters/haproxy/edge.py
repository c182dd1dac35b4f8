"""HAProxy over its runtime socket. In: routes, addresses. Out: traffic switched, sessions counted. Never
decides anything.

`set server` is synchronous: when a switch returns, new requests go to the new replicas (measured 5 ms). The
sockets and the configuration lie in the edge's folder, which the container mounts. After a reload the old
worker lives on while it has connections, a WebSocket's for hours: it receives every command too, and its
sessions count. Commands: HAProxy 3.0 management guide, sections 9.3 and 9.4.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from deployer.adapters.system.files import make_folder, write_whole
from deployer.core.compose.routes import Route
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.docker.haproxy_config import (
    CERTIFICATES,
    Slots,
    fit,
    merge,
    peers_in,
    place,
    render_edge,
    routes_in,
    slots_in,
    stamp_of,
    take_over,
)
from deployer.core.errors import CertificateInvalid, EdgeUnavailable

_TIMEOUT = 5.0
_RELOAD_TIMEOUT = 20.0
_GRANTED = re.compile(r"changed from|no need to change|nothing changed|proxy is disabled", re.IGNORECASE)
_STATS = "show stat -1 4 -1"  # every server of every backend
_DESCRIPTION = re.compile(r"^description: (\S+)$", re.MULTILINE | re.IGNORECASE)
_OLD_WORKERS = re.compile(r"^# old workers\n((?:[0-9].*\n?)*)", re.MULTILINE)


@dataclass(frozen=True)
class Slot:
    """One server line of a route: its address, state and requests in flight."""

    number: int
    address: str
    state: str  # UP, MAINT, DRAIN, no check, …
    sessions: int

    @property
    def open(self) -> bool:
        return not self.state.startswith(("MAINT", "DRAIN"))


class Edge:
    """The edge of one project."""

    def __init__(self, folder: Path, owner: tuple[int, int]) -> None:
        self._folder = folder
        self._owner = owner

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
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chown(self._folder, *self._owner)
        if certificates is not None:
            self.certify(certificates)
        before = self._routes()
        known = {route.name for route in before}
        new = [route for route in merge(before, routes) if route.name not in known]
        places = {route.name: (present or {}).get(route.service, ())[: route.slots // 2] for route in new}
        added = {name: dict(enumerate(addresses, 1)) for name, addresses in places.items()}
        self._configure(merge(before, routes), peers, added)

    def certify(self, certificates: Mapping[str, str]) -> bool:
        """Serves these certificates (file name → PEM text) from now on, without a lost request. True if they
        differ from the ones before. Raises CertificateInvalid, and keeps the ones before, if HAProxy refuses
        them.
        """
        before, text = self.certificates(), self._text()
        if before == certificates:
            return False
        self._keep(certificates)
        try:
            self._configure(self._routes())
        except EdgeUnavailable as error:
            self._keep(before)
            self._save(text)
            raise CertificateInvalid(
                f"the certificates stay as they were: {error}", hint="HAProxy's message says what it refuses"
            ) from None
        return True

    def ends_tls(self) -> bool:
        return any(route.tls for route in self._routes())

    def certificates(self) -> dict[str, str]:
        """Returns file name → PEM text of the served certificates."""
        files = sorted((self._folder / CERTIFICATES).glob("*.pem"))
        return {path.name: path.read_text(encoding="ascii") for path in files}

    def _keep(self, certificates: Mapping[str, str]) -> None:
        """Writes the new files before it removes old ones: an edge that restarts meanwhile must find one."""
        folder = self._folder / CERTIFICATES
        make_folder(folder)
        os.chown(folder, *self._owner)
        for name, pem in certificates.items():
            write_whole(folder / name, pem)
            os.chown(folder / name, *self._owner)
        for path in folder.glob("*.pem"):
            if path.name not in certificates:
                path.unlink()

    def reconcile(self, routes: Sequence[Route]) -> None:
        """Removes every other route."""
        self._configure(routes)

    def alive(self) -> bool:
        """True if the edge's worker and its master answer."""
        return bool(self._running())

    def slots(self) -> dict[str, list[Slot]]:
        """Returns route name → its slots in the running HAProxy; no slots while it does not answer."""
        found: dict[str, list[Slot]] = {route.name: [] for route in self._routes()}
        try:
            text = self._tell("admin.sock", _STATS, _TIMEOUT)
        except EdgeUnavailable:
            return found
        for name, slot in _slots_of(text):
            found.setdefault(name, []).append(slot)
        return found

    def switch(self, wanted: Mapping[Route, Sequence[str]]) -> None:
        """Switches each route to its addresses. Raises EdgeUnavailable."""
        before = self._text()
        known = {route.name for route in self._routes()}
        moved = [route for route in wanted if route.name not in known]
        try:
            self._fill({route.name: addresses for route, addresses in wanted.items() if route.name in known})
            if moved:
                self._take_over(moved, wanted)
        except EdgeUnavailable:
            self._save(before)
            raise

    def _fill(self, wanted: Mapping[str, Sequence[str]]) -> None:
        routes = {route.name: route for route in self._routes()}
        slots = self.slots()
        after: dict[str, dict[int, str]] = {name: _open(slots.get(name, ())) for name in routes}
        commands: list[str] = []
        for name, addresses in wanted.items():
            busy = [slot.number for slot in slots.get(name, ()) if slot.sessions]
            after[name] = place(after[name], busy, addresses, routes[name].slots)
            commands += _commands(routes[name], slots.get(name, ()), after[name])
        # The file first: an edge that restarts now comes back with the new addresses.
        self._save(self._render(tuple(routes.values()), after))
        self._tell_all(commands)

    def _take_over(self, moved: Sequence[Route], wanted: Mapping[Route, Sequence[str]]) -> None:
        """Moves a port to another service, which needs a reload; HAProxy hands the listening socket on."""
        live = {name: _open(slots) for name, slots in self.slots().items()}
        live |= {route.name: dict(enumerate(wanted[route], 1)) for route in moved}
        routes = take_over(self._routes(), moved)
        self._save(self._render(routes, fit(routes, live)))
        self._reload()

    def rest(self, addresses: Sequence[str]) -> None:
        """Takes these addresses out for good and closes pooled connections to them."""
        closing = [
            f"set server {name}/s{slot.number} state maint"
            for name, slots in self.slots().items()
            for slot in slots
            if slot.address in addresses
        ]
        self._tell_all(closing)

    def rest_all_but(self, alive: Set[tuple[str, str]]) -> None:
        """Takes out every address that is not in `alive`, pairs of service and address, and ends the requests
        that wait for it: no replica is left to answer or hang up.
        """
        dead = [
            (name, slot)
            for name, slots in self.slots().items()
            for slot in slots
            if (name.rpartition("_")[0], slot.address) not in alive
        ]
        resting = [f"set server {name}/s{slot.number} state maint" for name, slot in dead if slot.open]
        self._tell_all(resting + [_cut(name, slot.number) for name, slot in dead if slot.sessions])

    def cut(self, addresses: Sequence[str]) -> None:
        """Ends requests that still wait for these addresses, whose replicas are gone."""
        self._tell_all(
            [
                _cut(name, slot.number)
                for name, slots in self.slots().items()
                for slot in slots
                if slot.address in addresses and slot.sessions and not slot.open
            ]
        )

    def sessions(self, address: str) -> int:
        """Returns the number of requests in flight to this address over all routes, WebSockets too, including
        those on workers from before a reload.
        """
        now = [slot for slots in self.slots().values() for slot in slots]
        before = [slot for text in self._tell_old([_STATS]) for _, slot in _slots_of(text)]
        return sum(slot.sessions for slot in (*now, *before) if slot.address == address)

    def _routes(self) -> tuple[Route, ...]:
        return routes_in(self._text())

    def _text(self) -> str:
        try:
            return (self._folder / "haproxy.cfg").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _configure(
        self,
        routes: Sequence[Route],
        peers: Sequence[PeerNetwork] | None = None,
        added: Slots | None = None,
    ) -> None:
        """Writes the configuration; reloads a running edge only if it runs another one: other routes, or a
        file of an older deployer.
        """
        live = {name: _open(slots) for name, slots in self.slots().items() if slots}
        there: Slots = {**(added or {}), **slots_in(self._text()), **live}
        self._save(self._render(routes, fit(routes, there), peers))
        if self._running() not in ("", stamp_of(self._text())):
            self._reload()

    def _render(
        self, routes: Sequence[Route], slots: Slots, peers: Sequence[PeerNetwork] | None = None
    ) -> str:
        files = json.dumps(self.certificates(), sort_keys=True)
        networks = peers_in(self._text()) if peers is None else peers
        return render_edge(routes, slots, hashlib.sha256(files.encode()).hexdigest(), networks)

    def _running(self) -> str:
        """Returns the fingerprint of the worker's configuration; empty while worker or master do
        not answer.
        """
        try:
            worker = self._tell("admin.sock", "show info", _TIMEOUT)
            if "Uptime" not in worker or "master" not in self._tell(
                "master.sock", "show proc;quit", _TIMEOUT
            ):
                return ""
        except EdgeUnavailable:
            return ""
        found = _DESCRIPTION.search(worker)
        return found.group(1) if found else "none"  # an older deployer wrote no fingerprint

    def _reload(self) -> None:
        answer = self._tell("master.sock", "reload", _RELOAD_TIMEOUT)
        if "Success=1" not in answer:
            raise EdgeUnavailable(f"the edge refused its new configuration: {answer.strip()[-500:]}")

    def _save(self, text: str) -> None:
        path = self._folder / "haproxy.cfg"
        write_whole(path, text)
        os.chown(path, *self._owner)

    def _tell_all(self, commands: Sequence[str]) -> None:
        if not commands:
            return
        answer = self._tell("admin.sock", ";".join(commands), _TIMEOUT)
        unexpected = [line for line in answer.splitlines() if line.strip() and not _GRANTED.search(line)]
        if unexpected:
            raise EdgeUnavailable(f"the edge refused a command: {unexpected[0][:300]}")
        self._tell_old(commands)

    def _tell_old(self, commands: Sequence[str]) -> list[str]:
        """Returns the answers of workers that a reload has replaced; such a worker may end at any moment, and
        lacks newer routes.
        """
        try:
            shown = _OLD_WORKERS.search(self._tell("master.sock", "show proc;quit", _TIMEOUT))
            pids = [line.split()[0] for line in shown.group(1).splitlines()] if shown else []
            lines = (";".join([*(f"@!{pid} {command}" for command in commands), "quit"]) for pid in pids)
            return [self._tell("master.sock", line, _TIMEOUT) for line in lines]
        except EdgeUnavailable:
            return []

    def _tell(self, name: str, command: str, timeout: float) -> str:
        path = self._folder / name
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            try:
                connection.connect(str(path))
                connection.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
            except OSError as error:
                raise EdgeUnavailable(
                    f"the edge does not answer on {path.name}: {error}",
                    hint="`docker logs` of the project's deployer-edge container says why",
                ) from None


def _slots_of(stats: str) -> Iterator[tuple[str, Slot]]:
    """Yields route name and slot for each line of `show stat`."""
    for row in csv.DictReader(io.StringIO(stats.lstrip("# "))):
        address = row["addr"].rpartition(":")[0]
        number = int(row["svname"].removeprefix("s"))
        yield row["pxname"], Slot(number, address, row["status"], int(row["scur"] or 0))


def _open(slots: Sequence[Slot]) -> dict[int, str]:
    return {slot.number: slot.address for slot in slots if slot.open}


def _cut(route: str, number: int) -> str:
    return f"shutdown sessions server {route}/s{number}"


def _commands(route: Route, slots: Sequence[Slot], after: Mapping[int, str]) -> list[str]:
    """Returns the commands of a switch. New addresses open before old ones close, so that no moment is
    without a server. Old ones close by `maint`, as `drain` still accepts pinned clients; requests in flight
    continue in both.
    """
    before = _open(slots)
    left = {slot.number for slot in slots if slot.sessions and not slot.open}
    opening = [_cut(route.name, number) for number in after if number in left]
    for number, address in after.items():
        if before.get(number) != address:
            server = f"{route.name}/s{number}"
            opening += [
                f"set server {server} addr {address} port {route.port}",
                f"set server {server} state ready",
            ]
    closing = [f"set server {route.name}/s{number} state maint" for number in before if number not in after]
    return opening + closing
