"""A server with a file of root on it, and every way to it from inside a container. In: a folder, an image.
Out: the traces of the file in a Compose file's containers, and whether the file is unchanged.
"""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.host.docker_host import docker_host
from deployer.adapters.system.files import make_folder
from deployer.core.compose.rendering import MOUNTED
from deployer.core.errors import DeployerError
from deployer.core.images import Image
from deployer.core.model import Bundle, Replica
from deployer.core.permissions.project_permissions import Neighbourhood, Permissions
from deployer.core.rollout.desired_state import DesiredState, assemble
from testing.docker.docker_cli import docker, registry, remove_containers
from testing.security.hostile_compose_files import BASE, NEIGHBOUR

# $1: the text; $2: the path on the host. Prints each file that contains the text, and writes to root's file
# where it is found. The host's own file system is not searched: the path there is known.
_SEARCH = r"""
places="$2 /x /c /host/${2##*/} /host$2 /run/secrets/c /dev/x"
for process in /proc/[0-9]*; do
    places="$places $process/root$2 $process/cwd/${2##*/}"
    [ "${process#/proc/}" = $$ ] || places="$places $process/environ"
done
mounts=$(cut -d' ' -f2 /proc/mounts | grep -Ev '^/$|^/(proc|sys|dev|host)(/|$)')
for place in $places $(find $mounts -xdev -type f) $(find / -xdev -type f -newer /etc/hostname); do
    [ -f "$place" ] && grep -qs -- "$1" "$place" && echo "$place"
done 2>/dev/null | sort -u | while read -r found; do
    echo "$found"
    [ "$(cat "$found")" != "$1" ] || { echo overwritten >> "$found"; } 2>/dev/null
done
true
"""


class Canary:
    """A file that only root may read, in a folder that only root may enter."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "root-only" / "canary"
        self.text = f"canary-{uuid.uuid4().hex}"  # occurs in no other file of the machine
        self.untouched = f"0:0 600\n{self.text}\n"
        self._folder = folder

    def plant(self) -> None:
        self._as_root(
            f"mkdir -p -m 700 root-only; echo {self.text} > root-only/canary;"
            " chown -R 0:0 root-only; chmod 600 root-only/canary"
        )

    def facts(self) -> str:
        """Returns owner, mode and content; `untouched` has them as planted."""
        if os.geteuid() == 0:
            found = self.path.stat()
            return f"{found.st_uid}:{found.st_gid} {found.st_mode & 0o7777:o}\n{self.path.read_text()}"
        return self._as_root("stat -c '%u:%g %a' root-only/canary; cat root-only/canary")

    def _as_root(self, script: str) -> str:
        """Runs a command as root through the engine, for tests of any user."""
        where = ("-v", f"{self._folder}:/at", "-w", "/at")
        return docker("run", "--rm", "--network", "none", *where, "--entrypoint", "sh", BASE, "-c", script)


class Host:
    """One state folder on the engine, and a file of root outside of it."""

    def __init__(self, folder: Path, image: Image, project: str) -> None:
        self.project = project
        self.image = image
        self.state = folder / "state"
        make_folder(self.state)
        self.canary = Canary(folder)
        self.canary.plant()
        self.compose = Compose(self.state)
        self.engine = Engine()
        self.host = docker_host(self.engine, self.compose, self.state, "haproxy:3.0-alpine")

    def fill(self, text: str) -> str:
        """Returns the text with this server's paths and this project's name."""
        path = self.canary.path
        known = {"@FILE": path, "@DIR": path.parent, "@STATE": self.state, "@PROJECT": self.project}
        for word, value in known.items():
            text = text.replace(word, str(value))
        return text

    def assemble(self, text: str, *granted: str, **files: str) -> tuple[DesiredState, dict[str, Any]]:
        """Assembles a release like a deploy, without the judgement of the rendered model."""
        bundle = Bundle("compose.yaml", {"compose.yaml": text, **files})
        model = dict(self.compose.renderer.render(self.project, bundle, {}))
        images = {name: self.image for name in model["services"]}
        edge = self.host.router.edge_settings(self.project)
        configs = {name: self.host.images.image_config(self.image) for name in images}
        application = assemble(model, images, self.project, edge, {n: c for n, c in configs.items() if c})
        around = Neighbourhood(frozenset({self.project, NEIGHBOUR}))
        permissions = Permissions(
            self.project, frozenset(granted), "apps.shop", around, readable=(model[MOUNTED],)
        )
        return dataclasses.replace(application, permissions=permissions), model

    def create(self, text: str, *granted: str, **files: str) -> tuple[Replica, ...]:
        """Creates the containers, one service after the other, like a rollout."""
        application, _ = self.assemble(text, *granted, **files)
        for service in application.services:
            if service.image:
                self.host.runtime.create(application, {service.name: 1})
        return self.host.runtime.observe(self.project).replicas

    def explore(self, replicas: Sequence[Replica]) -> tuple[bool, str]:
        """Starts the containers, and lets each search for root's file and write to it. Returns True if one
        ran, and every text that could show the file: files, logs, health.
        """
        found: list[str] = []
        ran = False
        for replica in sorted(replicas, key=lambda one: one.service):
            with suppress(DeployerError):
                self.host.runtime.start(self.project, [replica])
            if docker("inspect", "-f", "{{.State.Running}}", replica.id).strip() == "true":
                ran = True
                search = ("sh", "-c", _SEARCH, "sh", self.canary.text, str(self.canary.path))
                found.append(docker("exec", "-u", "0", replica.id, *search))
            found += [text for text in (self._shown(replica),) if self.canary.text in text]
        return ran, "".join(found)

    def _shown(self, replica: Replica) -> str:
        logs = docker("logs", replica.id)
        return logs + docker("inspect", "-f", "{{json .State}}{{json .Config.Env}}", replica.id)

    def traces(self) -> list[str]:
        """Returns everything of the project on the engine."""
        label = f"label=com.docker.compose.project={self.project}"
        kinds = (("ps", "-a"), ("volume", "ls"))
        return [line for kind in kinds for line in docker(*kind, "-q", "--filter", label).split()]

    def clear(self) -> None:
        remove_containers(self.project)
        label = f"label=com.docker.compose.project={self.project}"
        if volumes := docker("volume", "ls", "-q", "--filter", label).split():
            docker("volume", "rm", "-f", *volumes)


def pushed_image() -> Image:
    """Returns the base image by digest, as in a release."""
    name = f"{registry()}/gate-{uuid.uuid4().hex[:8]}/web"
    for words in (("tag", BASE, f"{name}:1"), ("push", "-q", f"{name}:1"), ("pull", "-q", f"{name}:1")):
        docker(*words)
    found = docker("image", "inspect", "--format", "{{index .RepoDigests}}", f"{name}:1")
    digest = next(part for part in found.strip("[]\n ").split() if part.startswith(name)).partition("@")[2]
    return Image(name, digest)


def filled(files: Mapping[str, str], host: Host) -> dict[str, str]:
    return {name: host.fill(text) for name, text in files.items()}
