"""What the engine says of one container. In: its inspection. Out: a replica. Asks nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.core.application import EDGE, SPEC_LABEL
from deployer.core.blueprint import SERVICE_LABEL
from deployer.core.model import Replica

_SERVICE, _ONE_OFF = "com.docker.compose.service", "com.docker.compose.oneoff"


def replica_of(details: Mapping[str, Any]) -> Replica:
    state, config = details["State"], details["Config"]
    labels: Mapping[str, str] = config.get("Labels") or {}
    networks: Mapping[str, Any] = details["NetworkSettings"]["Networks"] or {}
    return Replica(
        id=details["Id"],
        name=details["Name"].lstrip("/"),
        service=labels.get(SERVICE_LABEL) or labels.get(_SERVICE, ""),
        spec=labels.get(SPEC_LABEL, ""),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", "none"),
        image=details["Image"],
        digest=config["Image"].partition("@")[2],
        exit_code=int(state.get("ExitCode") or 0),
        restarts=int(details.get("RestartCount") or 0),
        ports=_host_ports(details["HostConfig"].get("PortBindings") or {}),
        addresses={
            name: settings["IPAddress"] for name, settings in networks.items() if settings.get("IPAddress")
        },
    )


def _host_ports(bindings: Mapping[str, Any]) -> tuple[str, ...]:
    """`{"3001/tcp": [{"HostPort": "8080"}]}` as `8080/tcp`."""
    found = {
        f"{binding['HostPort']}/{port.partition('/')[2]}"
        for port, held in bindings.items()
        for binding in held or ()
        if binding.get("HostPort")
    }
    return tuple(sorted(found))


def is_ours(labels: Mapping[str, str]) -> bool:
    """`docker compose run` is somebody's own; the edge is a one-off container for Compose."""
    return labels.get(_ONE_OFF) != "True" or labels.get(SERVICE_LABEL) == EDGE
