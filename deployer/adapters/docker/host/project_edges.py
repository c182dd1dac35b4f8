"""Edges of all projects on one engine. In: a project. Out: its edge, its certificate folder, its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deployer.adapters.haproxy.certificates import CertificateFolder
from deployer.adapters.haproxy.edge import Edge
from deployer.core.errors import CertificateInvalid
from deployer.core.rollout.desired_state import DesiredState
from deployer.core.rollout.edge_container import EdgeSettings

HAPROXY_USER = 99  # the official image's own


class ProjectEdges:
    """Edges below one state folder. `certificates`: project → its folder of certificates."""

    def __init__(self, state: Path, image: str, certificates: Mapping[str, str] | None = None) -> None:
        self.image = image
        self._root = state / "edge"
        self._owner = _owner_of(state)
        named = (certificates or {}).items()
        self._folders = {project: CertificateFolder(Path(path)) for project, path in named}

    def of(self, project: str) -> Edge:
        return Edge(self._root / project, self._owner)

    def folder(self, project: str) -> CertificateFolder | None:
        """Returns the project's certificate folder, None if the settings name none."""
        return self._folders.get(project)

    def settings(self, project: str) -> EdgeSettings:
        user, folder = f"{self._owner[0]}:{self._owner[1]}", str(self._root / project)
        return EdgeSettings(self.image, folder, user, tls=project in self._folders)

    def certificates(self, application: DesiredState) -> Mapping[str, str] | None:
        """Returns the certificates to serve, None to leave them as they are. During a rollback the folder may
        be faulty by now, while the served certificates are not. Raises CertificateInvalid without a
        certificate to serve.
        """
        if not application.tls:
            return None
        try:
            return self._folders[application.project].read()
        except CertificateInvalid:
            if self.of(application.project).configuration.certificates():
                return None
            raise


def _owner_of(state: Path) -> tuple[int, int]:
    """Returns user and group of the edge: this process's own, which alone can read its files. If the process
    is root, the state folder's owner, or the image's own user.
    """
    user, group = os.geteuid(), os.getegid()
    if not user:
        status = state.stat()
        user, group = status.st_uid, status.st_gid
    return (user or HAPROXY_USER, group or HAPROXY_USER)
