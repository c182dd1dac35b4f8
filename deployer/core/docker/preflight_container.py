"""The copy of a stop-first replica that must start before the old one is stopped. In: a request for a
container, or the inspection of one. Out: the request for its copy.

The copy is alone: no network, no published port, no name, no data, no namespace, no device, no path of the
host. Whatever may be written or lies on the host is a scratch volume; volumes that are read only, and files
of the release, are the real ones. So it can neither take a port nor a lock, nor see or change anybody's data,
and whether it starts at all is still seen.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from deployer.core.compose_labels import ComposeLabel
from deployer.core.docker.container_requests import DEPLOYMENT_LABEL, HOOK_LABEL
from deployer.core.permissions.host_access import READABLE_BY_ALL

COPY = "preflight"
SECONDS = 1.0  # as long as the copy must stay up
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
    """`body` as the engine takes it, or as its inspection shows it with `HostConfig`; `files` is the folder
    where releases' own files lie.
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
            "Mounts": [_mount(one, files) for one in (*_bound(host), *(host.get("Mounts") or ()))],
        },
    }


def _bound(host: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`SOURCE:TARGET[:MODE]` as mounts."""
    found: list[dict[str, Any]] = []
    for text in host.get("Binds") or ():
        source, target, mode = (*str(text).split(":"), "", "")[:3]
        kind = "bind" if source.startswith("/") else "volume"
        found.append({"Type": kind, "Source": source, "Target": target, "ReadOnly": "ro" in mode.split(",")})
    return found


def _mount(one: Mapping[str, Any], files: str) -> dict[str, Any]:
    target = {"Target": one["Target"]}
    if one["Type"] == "tmpfs":
        return {"Type": "tmpfs", **target}
    source = str(one.get("Source") or "")
    is_bind = one["Type"] == "bind"
    ours = is_bind and bool(files) and source.startswith(f"{files}/")
    if ours or (one.get("ReadOnly") and (not is_bind or source in READABLE_BY_ALL)):
        return {"Type": one["Type"], "Source": source, **target, "ReadOnly": True}
    return {"Type": "volume", **target}
