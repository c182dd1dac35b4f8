from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from deployer.core.compose.volumes import data_in, is_scratch
from deployer.core.image_config import ImageConfig
from deployer.core.model import ContainerState, ObservedState, Replica
from deployer.core.rollout.desired_state import DesiredState, assemble
from deployer.core.rollout.planner import plan_rollout, predecessors
from testing.compose_models import EDGE_SETTINGS, image, replica


def keeper(mark: str = "a", **table: Any) -> DesiredState:
    """One service whose image declares `VOLUME /data`."""
    model = {"services": {"keeper": {"networks": {"default": None}, **table}}}
    configs = {"keeper": ImageConfig(volumes=("/data",))}
    return assemble(model, {"keeper": image("keeper", mark)}, "shop", EDGE_SETTINGS, configs)


def kept(app: DesiredState, number: int = 1, **changes: Any) -> Replica:
    return replica(app, "keeper", number, volumes={"/data": f"v{number}"}, **changes)


def lines(app: DesiredState, *replicas: Replica) -> list[str]:
    steps = plan_rollout(app, ObservedState(replicas)).steps
    return [
        f"{step.verb} {step.subject}: {step.cause}" for step in steps if step.verb in ("create", "remove")
    ]


@pytest.mark.case("H06")
def test_the_plan_says_that_data_is_handed_on_and_what_is_kept_aside() -> None:
    old = kept(keeper("a"))
    cause = "image aaaaaaaaaaaa → bbbbbbbbbbbb"
    assert lines(keeper("b"), old) == [
        f"create 1 new: {cause}; volume /data is handed on",
        "remove shop-keeper-1: superseded",
    ]
    more = dataclasses.replace(old, volumes={"/data": "v1", "/gone": "v9"})
    told = "; volume /data is handed on; volume /gone is kept aside: this release has none there"
    assert lines(keeper("b"), more)[0] == f"create 1 new: {cause}{told}"
    assert lines(keeper("b"), dataclasses.replace(old, volumes={}))[0] == f"create 1 new: {cause}"


@pytest.mark.case("H06")
def test_a_replica_that_ended_keeps_its_data_until_the_next_one_has_it() -> None:
    ended = kept(keeper("a"), state=ContainerState.EXITED, serving=False)
    assert lines(keeper("b"), ended) == [
        "create 1 new: image aaaaaaaaaaaa → bbbbbbbbbbbb; volume /data is handed on",
        "remove shop-keeper-1: superseded",
    ]
    assert lines(keeper("b"), dataclasses.replace(ended, volumes={}))[0].startswith("remove")


@pytest.mark.case("H06")
def test_each_of_several_replicas_keeps_its_own_volume() -> None:
    old, new = keeper("a", scale=2), keeper("b", scale=2)
    service = new.service("keeper")
    assert service
    one, two, twin = kept(old, 1), kept(old, 2), kept(old, 3)
    given = predecessors(service, ObservedState((one, dataclasses.replace(twin, volumes=one.volumes), two)))
    assert [given_on.volumes["/data"] for given_on in given] == ["v1", "v2"]
    mine = dataclasses.replace(kept(new, 4), volumes=one.volumes)
    assert predecessors(service, ObservedState((one, two, mine))) == (two,)


@pytest.mark.case("H06")
def test_a_task_keeps_no_nameless_volume() -> None:
    waits = {"condition": "service_completed_successfully"}
    model = {"services": {"task": {}, "web": {"depends_on": {"task": waits}}}}
    images = {"task": image("task", "a"), "web": image("web", "a")}
    app = assemble(model, images, "shop", EDGE_SETTINGS, {"task": ImageConfig(volumes=("/data",))})
    task = app.service("task")
    assert task and task.nameless == ()
    before = replica(app, "task", spec="old", volumes={"/data": "v"})
    assert predecessors(task, ObservedState((before,))) == ()


@pytest.mark.case("H06")
def test_paths_for_passing_files_hold_no_data() -> None:
    assert data_in({"/tmp": "a", "/data": "b"}) == {"/tmp": "a", "/data": "b"}
    assert data_in({"/tmp": "a"}) == data_in({}) == {}
    assert is_scratch(["/tmp", "/run"]) and not is_scratch(["/tmp", "/data"]) and not is_scratch([])
