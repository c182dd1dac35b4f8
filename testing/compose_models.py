"""Rendered Compose models and observations that the core's tests share."""

from __future__ import annotations

from typing import Any

from deployer.core.images import Image
from deployer.core.model import ContainerState, Health, ObservedState, Replica
from deployer.core.rollout.desired_state import EDGE, DesiredState, assemble
from deployer.core.rollout.edge_container import EdgeSettings

EDGE_SETTINGS = EdgeSettings("haproxy:3.0-alpine", "/state/edge/shop", "99:99")
CHECK = {
    "test": ["CMD", "wget", "-qO-", "http://127.0.0.1:3001/health"],
    "interval": "5s",
    "timeout": "3s",
    "retries": 3,
}


def digest(mark: str) -> str:
    return "sha256:" + (mark * 64)[:64]


def image(service: str, mark: str) -> Image:
    return Image(f"ghcr.io/acme/shop-{service}", digest(mark))


def shop() -> dict[str, Any]:
    """Returns the example application as Compose renders it."""
    return {
        "name": "shop",
        "services": {
            "backend": {
                "build": {"context": "/src/backend"},
                "healthcheck": CHECK,
                "networks": {"default": None},
                "ports": [{"mode": "ingress", "target": 3001, "published": "3001", "protocol": "tcp"}],
            },
            "frontend": {
                "build": {"context": "/src/frontend"},
                "depends_on": {"backend": {"condition": "service_healthy"}},
                "networks": {"default": None},
                "ports": [{"mode": "ingress", "target": 80, "published": "8080", "protocol": "tcp"}],
            },
        },
        "networks": {"default": {"name": "shop_default"}},
    }


def application(marks: str = "ab", model: dict[str, Any] | None = None) -> DesiredState:
    """Returns the shop with the images that `marks` name: the backend's, then the frontend's."""
    images = {"backend": image("backend", marks[0]), "frontend": image("frontend", marks[1])}
    return assemble(model or shop(), images, "shop", EDGE_SETTINGS)


def replica(app: DesiredState, service: str, number: int = 1, **changes: Any) -> Replica:
    """Returns a running, healthy, serving replica of `app`."""
    made = app.service(service)
    assert made
    values: dict[str, Any] = {
        "id": f"{service}-{number}",
        "name": f"shop-{service}-{number}",
        "service": service,
        "spec": made.spec,
        "state": ContainerState.RUNNING,
        "health": Health.HEALTHY,
        "image": "sha256:config",
        "digest": made.image.digest if made.image else "",
        "addresses": {"shop_default": f"172.20.0.{number}"},
        "serving": True,
    }
    return Replica(**values | changes)


def running(app: DesiredState) -> ObservedState:
    """Returns the state in which all replicas of `app` run and serve."""
    return ObservedState(tuple(replica(app, name) for name in (EDGE, "backend", "frontend")))
