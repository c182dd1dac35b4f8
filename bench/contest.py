"""Two contestants on one engine: this deployer, and `docker compose` alone. In: a Compose file's settings.
Out: deploys under load, each with its users' results and its duration.

Both deploy their own images with the same content, and an image is removed from the engine before its deploy,
so that both pull. Layers stay in the engine's build cache for both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from deployer.core.images import Image
from deployer.core.model import Bundle
from testing.docker.docker_cli import docker, free_port, remove_containers
from testing.load.http_load import KEPT, NEW, Load, Report
from testing.stage import Stage
from testing.user_repository import Published, forget_here, push

_APP = Path(__file__).parent / "app"
_SETTLE = 0.5  # seconds of load before and after a deploy
CHECK = {"interval": "5s", "timeout": "3s", "retries": 3, "start_period": "30s", "start_interval": "250ms"}


@dataclass(frozen=True)
class Deploy:
    """One measured deploy; times in seconds from the trigger."""

    report: Report
    wall: float
    first: float | None  # until the first reply of the new version
    ended: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        return self.report.lost(NEW) + self.report.lost(KEPT)


@dataclass(frozen=True)
class Shape:
    """One service, the same for both contestants."""

    startup_ms: int = 0
    check: Mapping[str, Any] = field(default_factory=lambda: CHECK)
    settings: Mapping[str, Any] = field(default_factory=dict)  # x-deployer
    variables: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1

    def service(
        self, image: str, port: int, variables: Mapping[str, str] = MappingProxyType({}), inside: int = 3001
    ) -> dict[str, Any]:
        url = f"http://127.0.0.1:{inside}/health"
        return {
            "image": image,
            "environment": {
                "PORT": str(inside),
                "STARTUP_MS": str(self.startup_ms),
                **self.variables,
                **variables,
            },
            "ports": [{"target": inside, "published": str(port), "app_protocol": "http"}],
            "healthcheck": {
                "test": ["CMD", "wget", "-qO-", url],
                **self.check,
            },
            "deploy": {"replicas": self.replicas},
            **({"x-deployer": dict(self.settings)} if self.settings else {}),
        }


def compose(services: Mapping[str, Any]) -> str:
    """Returns a Compose file; JSON is YAML."""
    return json.dumps({"services": services})


class Ours:
    """This deployer on its own stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.port = stage.web_port
        self.revision = stage.source.git("rev-parse", "HEAD")
        self.images = {version: build(stage.namespace, f"ours-{version}") for version in (1, 2)}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def deploy(self, version: int, shape: Shape, **variables: str) -> dict[str, Any]:
        """Requests a deploy and waits for its end."""
        service = shape.service("app", self.port, variables)
        return self.send({"app": self.images[version]}, {"app": service})

    def send(self, images: Mapping[str, Image], services: Mapping[str, Any]) -> dict[str, Any]:
        release = Published(self.revision, images)
        bundle = Bundle("compose.yaml", {"compose.yaml": compose(services)})
        status, answer = self.stage.request(release, bundle=bundle)
        assert status == 202, answer
        return self.stage.finished(answer["id"], answer["read_token"])

    def measured(self, version: int, shape: Shape, *, load: Load | None = None, **variables: str) -> Deploy:
        forget_here(self.images[version])
        act = partial(self.deploy, version, shape, **variables)
        return under_load(load or Load(self.url), act, f"version ours-{version}")


class Peer:
    """Contestant that runs `docker compose pull && docker compose up -d` on the same service."""

    def __init__(self, stage: Stage) -> None:
        self.project = f"{stage.project}-peer"
        self.port = free_port()
        self.folder = stage.folder / "peer"
        self.folder.mkdir(exist_ok=True)
        self.images = {version: build(stage.namespace, f"peer-{version}") for version in (1, 2)}

    def deploy(self, version: int, shape: Shape, *, wait: bool) -> None:
        service = shape.service(self.named(version), self.port)
        service.pop("x-deployer", None)
        self.up({"app": service}, pull=True, wait=wait)

    def named(self, version: int) -> str:
        return f"{self.images[version].repository}:peer-{version}"

    def up(self, services: Mapping[str, Any], *, pull: bool = False, wait: bool = True) -> None:
        file = self.folder / "compose.yaml"
        file.write_text(compose(services), encoding="utf-8")
        model = ["compose", "-p", self.project, "-f", str(file)]
        if pull:
            docker(*model, "pull", "--quiet")
        docker(*model, "up", "-d", *(["--wait"] if wait else []))

    def measured(self, version: int, shape: Shape, *, wait: bool) -> Deploy:
        forget_here(self.images[version])
        load = Load(f"http://127.0.0.1:{self.port}/")
        return under_load(
            load, lambda: self.deploy(version, shape, wait=wait), f"version peer-{version}", 2.5
        )

    def remove(self) -> None:
        remove_containers(self.project)


def under_load(load: Load, act: Callable[[], Any], text: str, settle: float = _SETTLE) -> Deploy:
    """Deploys under load. `text` occurs in the new version's answers; `settle`: seconds of load
    afterwards.
    """
    with load:
        time.sleep(_SETTLE)
        triggered = time.time()
        ended = act()
        wall = time.time() - triggered
        time.sleep(settle)
    first = load.report.first(text)
    since = None if first is None else load.began + first - triggered
    return Deploy(load.report, wall, since, ended if isinstance(ended, dict) else {})


def build(namespace: str, version: str) -> Image:
    tag = f"{namespace}/shop-app:{version}"
    docker("build", "--quiet", "--tag", tag, "--build-arg", f"VERSION={version}", str(_APP))
    return push(tag)
