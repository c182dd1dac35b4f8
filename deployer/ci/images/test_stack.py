"""The Compose model as the runner tests it. In: rendered model, image ids. Out: a model of the test's own.

Ports, names, labels, volumes, networks and folders of the host may belong to a stack on the same engine, such
as production's: the test touches none of them. It asks nothing of the host either that only the server
has. Images, commands and relations of the services stay unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from deployer.ci.images.docker_cli import TEST_PROFILE
from deployer.core.build.service_builds import makers_of
from deployer.core.compose.services import gate_seconds_of

Table = Mapping[str, Any]

# Claims on the host or (labels) on other programs' attention, and settings that hide a failure.
_DROPPED = (
    "build",
    "ports",
    "container_name",
    "labels",
    "restart",
    "logging",
    "pull_policy",
    "env_file",
    "profiles",
)
# Demands on processors, memory, devices, kernel and containers of the host.
_OF_HOST = frozenset(
    [
        "blkio_config",
        "cgroup",
        "cgroup_parent",
        "cpu_count",
        "cpu_percent",
        "cpu_period",
        "cpu_quota",
        "cpu_rt_period",
        "cpu_rt_runtime",
        "cpu_shares",
        "cpus",
        "cpuset",
        "credential_spec",
        "device_cgroup_rules",
        "devices",
        "external_links",
        "gpus",
        "isolation",
        "mem_limit",
        "mem_reservation",
        "mem_swappiness",
        "memswap_limit",
        "oom_kill_disable",
        "oom_score_adj",
        "pids_limit",
        "runtime",
        "storage_opt",
    ]
)
_OF_DEPLOY = ("restart_policy", "resources")
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


def left_out(model: Table) -> dict[str, list[str]]:
    """Returns service → keys of its demands on the host, which the test leaves out."""
    found = {name: list(_demands(service)) for name, service in model["services"].items()}
    return {name: keys for name, keys in found.items() if keys}


def _demands(service: Table) -> Iterator[str]:
    yield from (key for key in service if key in _OF_HOST and service[key])
    for kind, resources in ((service.get("deploy") or {}).get("resources") or {}).items():
        yield from (f"deploy.resources.{kind}.{key}" for key in resources or {})
    for option in service.get("security_opt") or ():
        if _names_profile(option):
            yield f"security_opt {option}"


def _names_profile(option: str) -> bool:
    """True if the option names a profile that an administrator loaded into the host's kernel."""
    kind, _, profile = option.replace("=", ":", 1).partition(":")
    ordinary = {"apparmor": "unconfined", "label": "disable"}
    return kind in ordinary and profile != ordinary[kind]


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
    kept = {key: value for key, value in service.items() if key not in _DROPPED and key not in _OF_HOST}
    kept["pull_policy"] = "never" if id else "missing"
    if id:
        kept["image"] = id
    # The model has only the services of active profiles, and all but the tests start at once.
    if TEST_PROFILE in (service.get("profiles") or ()):
        kept["profiles"] = [TEST_PROFILE]
    if service.get("networks"):
        kept["networks"] = {name: _attachment(entry or {}) for name, entry in service["networks"].items()}
    if service.get("volumes"):
        kept["volumes"] = [_mount(volume, workspace) for volume in service["volumes"]]
    if service.get("deploy"):
        kept["deploy"] = {key: value for key, value in service["deploy"].items() if key not in _OF_DEPLOY}
    if service.get("security_opt"):
        kept["security_opt"] = [one for one in service["security_opt"] if not _names_profile(one)]
    return kept


def _attachment(entry: Table) -> dict[str, Any]:
    return {"aliases": entry["aliases"]} if entry.get("aliases") else {}


def _network(network: Table) -> dict[str, Any]:
    return {"internal": True} if network.get("internal") else {}


def _mount(volume: Table, workspace: str) -> Table:
    if volume.get("type") != "bind":
        return volume
    if PurePosixPath(normpath(volume["source"])).is_relative_to(workspace):
        return volume
    # Compose would make a missing folder on the host, or refuse to start.
    if volume.get("read_only") and Path(volume["source"]).exists():
        return volume
    return {"type": "volume", "target": volume["target"]}
