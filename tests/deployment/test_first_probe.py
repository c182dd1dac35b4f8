"""When a new replica is asked for the first time."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.core.model import Replica
from deployer.core.rollout.desired_state import EDGE, Service
from deployer.core.rollout.readiness import Reading
from testing.receiver.in_memory_target import MemoryTarget
from tests.deployment.test_deploy import Scene


def test_e1_no_replica_is_asked_before_its_start_has_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request before its network is up would wait a second for the neighbour's answer."""
    asked: list[str] = []
    read = MemoryTarget.read

    def watched(self: MemoryTarget, project: str, service: Service, replica: Replica) -> Reading:
        asked.append(service.name)
        assert self.replicas[replica.id].running, f"{service.name} was asked before it ran"
        return read(self, project, service, replica)

    monkeypatch.setattr(MemoryTarget, "read", watched)
    scene = Scene(tmp_path)
    for marks in ("ab", "cd"):
        assert scene.deploy(marks).status == "success"
    assert set(asked) == {"backend", "frontend", EDGE}
