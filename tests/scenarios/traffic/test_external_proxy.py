"""A proxy of the user's in front, found by labels: Caddy with its Docker plugin."""

from __future__ import annotations

from typing import Any

import pytest

from testing.docker.labelled_proxy import LabelledProxy
from testing.load.http_load import KEPT, NEW, Load
from testing.stage import Published, Stage, wait_for
from tests.scenarios.deploys.test_compose_shapes import ask, echo, of, ship

__all__ = ["echo"]
pytestmark = [pytest.mark.engine, pytest.mark.long]
LABELLED = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        labels:
          caddy: "http://:{{port}}"
          caddy.reverse_proxy: "{{{{upstreams 3001}}}}"
          {more}
        {{check}}
"""
PATIENT = 'caddy.reverse_proxy.lb_try_duration: "5s"'


def deploy(stage: Stage, echo: Published, mark: str, more: str = PATIENT) -> dict[str, Any]:
    return ship(stage, echo, LABELLED.format(mark=mark, more=more))


def serves(stage: Stage, mark: str) -> bool:
    try:
        return ask(stage)["env"] == mark
    except (OSError, ValueError):
        return False


def test_e4_behind_a_labelled_proxy_only_what_it_cannot_know_is_lost(stage: Stage, echo: Published) -> None:
    """Caddy closes idle connections with each change of its configuration, and learns of an end when it is
    over: the figures stand in docs/reference/x-deployer.md.
    """
    refused = deploy(stage, echo, "one")
    assert refused["status"] == "failure" and "label:caddy" in refused["reason"]
    stage.reconfigure("variables-file", 'allow = ["label:caddy"]\nvariables-file')
    assert deploy(stage, echo, "one")["status"] == "success"
    assert [c["Config"]["Labels"].get("caddy") for c in stage.containers()] == [
        f"http://:{stage.api_port}"
    ], "no edge, and the labels of the file"
    with LabelledProxy(stage.folder / "caddy", f"{stage.project}_default"):
        wait_for("the service behind the proxy", lambda: serves(stage, "one"))
        for more in (PATIENT, ""):
            with Load(f"http://127.0.0.1:{stage.api_port}/") as load:
                for mark in ("two", "three", "four"):
                    ended = deploy(stage, echo, mark, more)
                    assert ended["status"] == "success", ended["reason"]
            report = load.report
            shown = f"{report.lost(NEW)} new, {report.lost(KEPT)} kept of {len(report.samples)} lost"
            print(f"{more or 'as it comes'}: {shown}, gap {report.gap_ms:.0f} ms")
            assert report.lost(NEW) + report.lost(KEPT) < len(report.samples) / 4
            assert all(report.first(f'"{mark}"') is not None for mark in ("two", "three", "four"))
            assert len(of(stage, "web")) == 1
    figures = ended["measured"]
    assert figures is None, "no port of its own is published"


HELD = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        x-deployer: {{edge: off}}
        ports: ["{{port}}:3001"]
        {{check}}
"""


def test_e6_a_fixed_host_port_without_the_edge_is_stop_first(stage: Stage, echo: Published) -> None:
    for mark in ("one", "two"):
        ended = ship(stage, echo, HELD.format(mark=mark))
        assert ended["status"] == "success", ended["reason"]
        assert ask(stage)["env"] == mark and len(stage.containers()) == 1
    shown = stage.cli("show", str(ended["id"])).stdout
    assert f"stop-first: without the edge it holds host port {stage.api_port} itself" in shown
