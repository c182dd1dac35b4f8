"""The copy of a stop-first replica that must start before the old replica is stopped. In: a request for a
container, or the inspection of one. Out: the request for its copy.

The copy is isolated: no network, no published port, no name, no data, no namespace, no device, no path of the
host. Writable mounts and mounts of the host become scratch volumes; read-only volumes and files of the
release are the real ones. So the copy can neither take a port or a lock nor see or change data, and it still
shows a container that does not start.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.container_requests import DEPLOYMENT_LABEL, HOOK_LABEL
from deployer.core.permissions.host_access import READABLE_BY_ALL

COPY = "preflight"
SECONDS = 1.0  # the copy must run this long
_KEPT = (
    "Cmd",
    "Entrypoint",
    "Env",
    "Image",
    "User",
    "WorkingDir",
    "Volumes",
    "StopSignal",
    "Tty",
    "OpenStdin",
)
_LIMITS = (
    "CapAdd", "CapDrop", "Init", "Memory", "NanoCpus", "CpuQuota", "CpuPeriod", "PidsLimit", "ReadonlyRootfs",
    "Runtime", "SecurityOpt", "ShmSize", "Tmpfs", "Ulimits", "GroupAdd", "ExtraHosts",
)  # fmt: skip


def name_of_copy(project: str, service: str) -> str:
    return f"{project}-{service}-preflight"


def copy_body(body: Mapping[str, Any], project: str, service: str, files: str) -> dict[str, Any]:
    """Returns the body of the copy. `body` is a create request, or an inspection with its `HostConfig`;
    `files` is the folder with the releases' own files.
    """
    host: Mapping[str, Any] = body["HostConfig"]
    made = {key: copy.deepcopy(body[key]) for key in _KEPT if body.get(key)}
    labels = {
        ComposeLabel.PROJECT: project,
        ComposeLabel.SERVICE: service,
        ComposeLabel.ONE_OFF: "True",
        HOOK_LABEL: COPY,
        DEPLOYMENT_LABEL: COPY,
    }
    limits = {key: copy.deepcopy(host[key]) for key in _LIMITS if host.get(key)}
    return made | {
        "Labels": labels,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": limits
        | {
            "NetworkMode": "none",
            "RestartPolicy": {"Name": "no"},
            "Mounts": [
                _isolated_mount(one, files) for one in (*_binds_as_mounts(host), *(host.get("Mounts") or ()))
            ],
        },
    }


def _binds_as_mounts(host: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the binds (`SOURCE:TARGET[:MODE]`) as mounts."""
    found: list[dict[str, Any]] = []
    for text in host.get("Binds") or ():
        source, target, mode = (*str(text).split(":"), "", "")[:3]
        kind = "bind" if source.startswith("/") else "volume"
        found.append({"Type": kind, "Source": source, "Target": target, "ReadOnly": "ro" in mode.split(",")})
    return found


def _isolated_mount(one: Mapping[str, Any], files: str) -> dict[str, Any]:
    target = {"Target": one["Target"]}
    if one["Type"] == "tmpfs":
        return {"Type": "tmpfs", **target}
    source = str(one.get("Source") or "")
    is_bind = one["Type"] == "bind"
    is_release_file = is_bind and bool(files) and source.startswith(f"{files}/")
    if is_release_file or (one.get("ReadOnly") and (not is_bind or source in READABLE_BY_ALL)):
        return {"Type": one["Type"], "Source": source, **target, "ReadOnly": True}
    return {"Type": "volume", **target}
