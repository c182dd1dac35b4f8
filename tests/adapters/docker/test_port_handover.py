"""Host ports between two real containers, also where the engine refuses half-way."""

from __future__ import annotations

import os
import socket
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.port_handover import Handover, holds_networks
from deployer.core.errors import ContainerRefused
from deployer.core.model import Replica
from deployer.core.permissions.project_permissions import Permissions
from testing.docker.docker_cli import docker, free_port, remove_containers, wait_for

pytestmark = pytest.mark.engine
SAY = "require('http').createServer((_, r) => r.end(process.env.MARK)).listen(3001)"


class Pair:
    """An old container that holds a port and is known under a name, and a new one that is made for it."""

    def __init__(self, project: str) -> None:
        self.project, self.port = project, free_port()
        self.engine = Engine(os.environ.get("DOCKER_HOST"))
        self.handover = Handover(self.engine.containers, self.engine.networks)
        docker("network", "create", "--label", f"com.docker.compose.project={project}", f"{project}_net")
        self._make("old", "run", "-d")

    def add(self, mark: str, port: int) -> Replica:
        """A second one, aside, that wants `port` as well."""
        self._make(mark, "create", "-p", f"127.0.0.1:{port}:3002")
        self.handover.park(self.project, [self.replica(mark)])
        self.engine.containers.start(self.replica(mark))
        assert self.replica(mark).parked and not holds_networks(self.replica(mark))
        return self.replica(mark)

    def _make(self, mark: str, *how: str) -> None:
        labels = (f"com.docker.compose.project={self.project}", "com.docker.compose.service=web")
        given = [word for label in labels for word in ("--label", label)]
        given += ["--network", f"{self.project}_net", "--network-alias", "web", "-e", f"MARK={mark}"]
        given += ["--name", f"{self.project}-{mark}", "-p", f"127.0.0.1:{self.port}:3001"]
        docker(*how, *given, "node:20-alpine", "node", "-e", SAY)

    def replica(self, mark: str) -> Replica:
        (found,) = (one for one in self.engine.containers.observe(self.project) if one.name.endswith(mark))
        return found

    def answers(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""


@pytest.fixture
def project() -> Iterator[str]:
    name = f"hand-{uuid.uuid4().hex[:8]}"
    yield name
    remove_containers(name)
    for network in (f"{name}_net", f"{name}_deployer-aside"):
        if network in docker("network", "ls", "--format", "{{.Name}}").split():
            docker("network", "rm", network)


def test_what_cannot_have_all_its_ports_leaves_the_old_one_where_it_was(project: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        pair = Pair(project)
        wait_for("the old one", lambda: pair.answers() == "old", 10)
        spoilt = pair.add("spoilt", other.getsockname()[1])
        with pytest.raises(ContainerRefused, match="address already in use"):
            pair.handover.give(Permissions(project), [spoilt], [pair.replica("old")], [f"{project}_net"])
        wait_for("the old one again", lambda: pair.answers() == "old", 10)
        assert holds_networks(pair.replica("old"))
        # What the rollback does: it asks for all of it once more.
        pair.handover.give(
            Permissions(project), [pair.replica("old")], [pair.replica("spoilt")], [f"{project}_net"]
        )
        pair.engine.containers.remove(pair.replica("spoilt"))
    assert list(pair.replica("old").addresses) == [f"{project}_net"] and pair.answers() == "old"
    pair.handover.give(
        Permissions(project), [pair.add("new", free_port())], [pair.replica("old")], [f"{project}_net"]
    )
    wait_for("the new one", lambda: pair.answers() == "new", 10)
    assert pair.replica("old").parked and not holds_networks(pair.replica("old"))
    assert list(pair.replica("new").addresses) == [f"{project}_net"]
    pair.engine.containers.remove(pair.replica("old"))
    pair.handover.clear(project, pair.engine.containers.observe(project))
    assert f"{project}_deployer-aside" not in pair.engine.networks.ids()
    assert pair.answers() == "new"
