"""The folder of one project's edge, which its container mounts. In: routes, certificates. Out: `haproxy.cfg`
and PEM files, owned by the container's user.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deployer.adapters.system.files import make_folder, write_whole
from deployer.core.compose.routes import Route
from deployer.core.docker.forwarded_headers import PeerNetwork
from deployer.core.docker.haproxy_config import CERTIFICATES, Slots, peers_in, render_edge, routes_in


class EdgeFolder:
    """Reads and writes the configuration file and the certificates of one edge; reloads nothing."""

    def __init__(self, path: Path, owner: tuple[int, int]) -> None:
        self._path = path
        self._owner = owner

    def make(self) -> None:
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chown(self._path, *self._owner)

    def routes(self) -> tuple[Route, ...]:
        return routes_in(self.configuration())

    def configuration(self) -> str:
        """Returns the text of the configuration file, empty before the first one."""
        try:
            return (self._path / "haproxy.cfg").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def render(
        self, routes: Sequence[Route], slots: Slots, peers: Sequence[PeerNetwork] | None = None
    ) -> str:
        """Returns a configuration with these routes for the folder's certificates; without `peers` the
        networks stay.
        """
        files = json.dumps(self.certificates(), sort_keys=True)
        networks = peers_in(self.configuration()) if peers is None else peers
        return render_edge(routes, slots, hashlib.sha256(files.encode()).hexdigest(), networks)

    def save(self, configuration: str) -> None:
        path = self._path / "haproxy.cfg"
        write_whole(path, configuration)
        os.chown(path, *self._owner)

    def certificates(self) -> dict[str, str]:
        """Returns file name → PEM text of the served certificates."""
        files = sorted((self._path / CERTIFICATES).glob("*.pem"))
        return {path.name: path.read_text(encoding="ascii") for path in files}

    def save_certificates(self, certificates: Mapping[str, str]) -> None:
        """Writes the new files before it removes old ones: an edge that restarts meanwhile must find one."""
        folder = self._path / CERTIFICATES
        make_folder(folder)
        os.chown(folder, *self._owner)
        for name, pem in certificates.items():
            write_whole(folder / name, pem)
            os.chown(folder / name, *self._owner)
        for path in folder.glob("*.pem"):
            if path.name not in certificates:
                path.unlink()
