"""The last gate on a real engine: real Compose makes requests of hostile files, with the judgement of the
rendered model left out, and a file of root on the host stays unread and unwritten. Containers of files that
pass are started, and look for it. Without the gate the same hostile files read it and write to it, so that
each test could fail.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker import replica_requests
from deployer.adapters.docker.compose import request_recording
from deployer.core.compose.rendering import FOLDER, MOUNTED
from deployer.core.docker.compose_calls import PermittedCall
from deployer.core.docker.engine_requests import PermittedContainer
from deployer.core.errors import ComposeRejected, DeployerError
from testing.security.canary_host import Host, filled
from testing.security.hostile_compose_files import FILES, PATHS, PERMITTED, POWERS, Row, web

pytestmark = pytest.mark.engine
HOSTILE = PATHS | POWERS


@pytest.mark.case("X01", "X02", "X06", "X07", "X09")
@pytest.mark.parametrize("row", HOSTILE.values(), ids=HOSTILE.keys())
def test_x1_a_hostile_file_reaches_no_engine_even_where_its_model_was_not_judged(
    held: Host, row: Row
) -> None:
    with pytest.raises(DeployerError) as refused:
        held.create(held.fill(row.text), **filled(FILES, held))
    assert refused.value.code == row.code, refused.value.diagnostics()
    asked = f"asks for {row.asks}" if row.code == "power-refused" else row.asks
    assert held.fill(asked) in str(refused.value), refused.value.diagnostics()
    assert not held.host.runtime.observe(held.project).replicas
    assert not any("host" in name for name in held.traces())


@pytest.mark.case("X01", "X02")
@pytest.mark.parametrize("text", PERMITTED.values(), ids=PERMITTED.keys())
def test_x1_a_container_of_a_file_that_passes_finds_nothing_of_roots(held: Host, text: str) -> None:
    replicas = held.create(held.fill(text), **filled(FILES, held))
    ran, found = held.explore(replicas)
    assert replicas and ran and not found


@pytest.fixture
def ungated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request passes as it is."""

    def pass_on(name: str, body: Mapping[str, Any], *rest: Any) -> PermittedContainer:
        return PermittedContainer(name, body, tuple(rest[3]) if len(rest) > 3 else ())

    monkeypatch.setattr(replica_requests, "permit_container", pass_on)

    def call(method: str, path: str, body: bytes, *rest: Any) -> PermittedCall:
        return PermittedCall(method, path, body)

    monkeypatch.setattr(request_recording, "permit_call", call)


READING = {name: row for name, row in HOSTILE.items() if row.reads}


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("row", READING.values(), ids=READING.keys())
def test_without_the_gate_the_same_file_reads_what_is_roots(host: Host, row: Row) -> None:
    replicas = host.create(host.fill(row.text), **filled(FILES, host))
    ran, found = host.explore(replicas)
    assert ran and found, "no container shows the file, so the row proves nothing"
    assert (host.canary.facts() != host.canary.untouched) is row.writes


@pytest.mark.case("X02")
@pytest.mark.parametrize("place", [MOUNTED, FOLDER], ids=["mounted", "read"])
def test_x2_a_link_in_the_folder_of_a_release_is_not_followed(held: Host, place: str) -> None:
    text = web("    volumes: ['./a.txt:/x']\n")
    _, model = held.assemble(text, **{"a.txt": "a"})
    link = Path(model[place]) / "a.txt"
    link.unlink()
    link.symlink_to(held.canary.path)
    with pytest.raises(ComposeRejected, match="has become a link"):
        held.create(text, **{"a.txt": "a"})
    assert not held.host.runtime.observe(held.project).replicas


@pytest.mark.skipif(os.geteuid() != 0, reason="only root opens the file of root by itself")
def test_the_search_reports_a_file_of_root_that_changed(host: Host) -> None:
    for change in (
        lambda: host.canary.path.chmod(0o644),
        lambda: os.chown(host.canary.path, 1, 1),
        lambda: host.canary.path.write_text("x"),
    ):
        host.canary.plant()
        assert host.canary.facts() == host.canary.untouched
        change()
        assert host.canary.facts() != host.canary.untouched
