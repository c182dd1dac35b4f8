"""Grants: the powers over the host that the server's settings may give to a Compose file. In: requested
powers, the settings' `allow`. Out: nothing, or PowerRefused with the line that would grant them. Never grants
a power by itself.

A grant is spelled `KEY` or `KEY:VALUE`, with Compose's own keys, so that the line of an error can be copied.
A granted path is the mounted path with everything in it; a path below it needs its own grant. If one granted
path lies in another, links in the outer path can redirect it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

from deployer.core.errors import ComposeRejected

# Grants without a value.
FLAGS = (
    "blkio_config",
    "cpu_rt",
    "cpu_shares",
    "credential_spec",
    "gpus",
    "healthcheck",
    "models",
    "oom_kill_disable",
    "oom_score_adj",
    "privileged",
    "provider",
    "shm_size",
    "stop_grace_period",
    "storage_opt",
    "tmpfs",
    "use_api_socket",
)
KEYS = (
    "annotations",
    "bind",
    "cap_add",
    "cgroup",
    "cgroup_parent",
    "container_name",
    "count",
    "device_cgroup_rules",
    "devices",
    "driver",
    "driver_opts",
    "environment",
    "external_links",
    "ipam",
    "ipc",
    "label",
    "logging",
    "mount",
    "network",
    "network_mode",
    "pid",
    "propagation",
    "request",
    "runtime",
    "security_opt",
    "subnet",
    "sysctls",
    "ulimits",
    "userns_mode",
    "uts",
    "volume",
    "volumes_from",
)
GRANTS = f"as in bind:/srv/data or cap_add:NET_ADMIN; keys: {', '.join(sorted((*KEYS, *FLAGS)))}"
_ENGINES = ("docker.sock", "containerd.sock", "podman.sock", "dockershim.sock", "crio.sock")
Asked = tuple[str, str]  # the part that asks, as in `service web`, and the grant that would allow it


class PowerRefused(ComposeRejected):
    """The model or a request asks for power over the host that the settings do not grant."""

    code = "power-refused"
    http_status = 500  # unlike its parent's: so a plan that needs a power has always been answered


def refuse(asked: Iterable[Asked], granted: Collection[str], setting: str, *, sent: bool = False) -> None:
    """Raises PowerRefused with every requested power that is not granted; `setting` names the settings' table
    that could grant it. `sent`: the powers come from a request to the engine, not from a Compose file.
    """
    missing = [
        (place, grant) for place, grant in dict.fromkeys(asked) if not covers(granted, grant, sent=sent)
    ]
    if missing:
        lines = ", ".join(f"{place} asks for {grant}" for place, grant in missing)
        grants = ", ".join(f'"{grant}"' for grant in dict.fromkeys(grant for _, grant in missing))
        raise PowerRefused(
            f"{lines}: that is power over the server",
            hint=f"if the repository may have it, grant it in the settings: [{setting}] allow = [{grants}]",
        )


def is_grant(text: str) -> bool:
    """True if a setting is a valid grant."""
    key, colon, value = text.partition(":")
    if key in FLAGS:
        return not colon
    if key == "bind":
        return value.startswith("/") and ".." not in PurePosixPath(value).parts
    return key in KEYS and bool(value)


def covers(granted: Collection[str], grant: str, *, sent: bool = False) -> bool:
    """True if the settings grant the power. A granted path covers only itself: a link below it, made by a
    container, could lead anywhere. A folder that contains the engine's socket needs the grant of the socket
    as well. A label prefix covers longer prefixes.
    """
    key, _, value = grant.partition(":")
    if key == "label":
        return any(value.startswith(_value(text)) for text in granted if text.startswith("label:"))
    if sent and value.startswith("seccomp={"):  # Compose sends the text of the profile that the file names
        return any(text.startswith(("security_opt:seccomp=", "security_opt:seccomp:")) for text in granted)
    if key != "bind":
        return grant in granted
    roots = {host_path(_value(text)) for text in granted if text.startswith("bind:")}
    sockets = {f"/run/{name}" for name in _ENGINES}
    holds_socket = any(PurePosixPath(socket).is_relative_to(value) for socket in sockets) or value == "/var"
    holds_socket = holds_socket and value != "/"  # the path `/` grants the whole host, its sockets included
    return value in roots and (not holds_socket or bool(roots & sockets))


def _value(grant: str) -> str:
    return grant.partition(":")[2]


def host_path(path: str) -> str:
    """Returns one spelling for a path of the host: absolute, without dots, and `/run` for `/var/run`."""
    parts: list[str] = []
    for part in PurePosixPath("/", path).parts[1:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    whole = "/" + "/".join(parts)
    return whole.removeprefix("/var") if f"{whole}/".startswith("/var/run/") else whole
