"""The Compose model as the runner tests it. In: rendered model, image ids. Out: a model of the test's own.

Ports, names, labels, volumes, networks and folders of the host may belong to a stack on the same engine, such
as production's: the test touches none of them. Images, commands and relations of the services stay unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any

from deployer.core.build.service_builds import makers_of
from deployer.core.compose.services import gate_seconds_of

Table = Mapping[str, Any]

# Claims on the host or (labels) on other programs' attention, and settings that hide a failure.
_DROPPED = ("build", "ports", "container_name", "labels", "restart", "logging", "pull_policy", "env_file")
_KEPT_TOP = ("configs", "secrets")
_START_SECONDS, _MAX_SECONDS = 60, 900


def isolate(model: Table, ids: Mapping[str, str], *, project: str, workspace: str) -> dict[str, Any]:
    """Returns the model with every built service pinned to its image id and every shared resource made the
    test's own.
    """
    services = {
        name: _service(service, ids.get(name, ""), workspace) for name, service in model["services"].items()
    }
    return {
        "name": project,
        "services": services,
        "networks": {
            name: _network(network or {}) for name, network in (model.get("networks") or {}).items()
        },
        "volumes": {name: {} for name in model.get("volumes") or {}},
        **{key: model[key] for key in _KEPT_TOP if model.get(key)},
    }


def spread(model: Table, of_built: Mapping[str, str], repositories: Mapping[str, str]) -> dict[str, str]:
    """Extends the values of built services to the services whose `image:` names the image of such a build,
    because they run that build on the server, too. `repositories`: built service → repository of its image.
    """
    makers = makers_of(model["services"], repositories)
    found = {name: [of_built[one] for one in ones if one in of_built] for name, ones in makers.items()}
    return {name: values[0] for name, values in found.items() if values}


def wait_seconds(model: Table) -> int:
    """Returns the seconds for the stack's start: the sum that its health checks allow one after the other,
    capped.
    """
    allowed = sum(gate_seconds_of(service) for service in model["services"].values())
    return int(min(_MAX_SECONDS, _START_SECONDS + allowed))


def _service(service: Table, id: str, workspace: str) -> dict[str, Any]:
    kept = {key: value for key, value in service.items() if key not in _DROPPED}
    kept["pull_policy"] = "never" if id else "missing"
    if id:
        kept["image"] = id
    if service.get("networks"):
        kept["networks"] = {name: _attachment(entry or {}) for name, entry in service["networks"].items()}
    if service.get("volumes"):
        kept["volumes"] = [_mount(volume, workspace) for volume in service["volumes"]]
    if service.get("deploy"):
        kept["deploy"] = {key: value for key, value in service["deploy"].items() if key != "restart_policy"}
    return kept


def _attachment(entry: Table) -> dict[str, Any]:
    return {"aliases": entry["aliases"]} if entry.get("aliases") else {}


def _network(network: Table) -> dict[str, Any]:
    return {"internal": True} if network.get("internal") else {}


def _mount(volume: Table, workspace: str) -> Table:
    if volume.get("type") != "bind" or volume.get("read_only"):
        return volume
    if PurePosixPath(normpath(volume["source"])).is_relative_to(workspace):
        return volume
    return {"type": "volume", "target": volume["target"]}
