"""What a Compose model asks of the host beyond a container of its own. In: a rendered model, what the
settings allow. Out: nothing, or PowerRefused.

Whoever may create a container as they like is root on its host, so a repository gets no such power by writing
it into its Compose file: the server's settings grant each by name. Everything that is granted or refused here
has one spelling, `KEY` or `KEY:VALUE` in Compose's own words, so that the line of an error can be copied.

A granted folder is granted with all below it, and a link that a container puts there leads wherever it points
to: grant folders that no container writes to, or the very folder that is mounted. Sysctls and limits need no
grant: the engine takes only those that stay inside the container.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from deployer.core.application import FOLDER
from deployer.core.errors import ComposeRejected

Table = Mapping[str, Any]

KEYS = (
    "bind",
    "cap_add",
    "cgroup",
    "cgroup_parent",
    "credential_spec",
    "device_cgroup_rules",
    "devices",
    "driver",
    "external_links",
    "gpus",
    "ipc",
    "mount",
    "network",
    "network_mode",
    "pid",
    "privileged",
    "propagation",
    "provider",
    "runtime",
    "security_opt",
    "use_api_socket",
    "userns_mode",
    "uts",
    "volume",
    "volumes_from",
)
GRANTS = f"as in bind:/srv/data or cap_add:NET_ADMIN; keys: {', '.join(KEYS)}"
# What every container has unless it drops it: docs.docker.com/engine/containers/run, "Linux capabilities".
_USUAL_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_NAMESPACES = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")
_OWN = (
    "",
    "private",
    "none",
    "bridge",
    "default",
    "shareable",
)  # of the container's own, or of another service
_SINGLE = ("cgroup_parent", "runtime")
_PRESENT = ("privileged", "gpus", "provider", "use_api_socket", "credential_spec")
_LISTED = ("device_cgroup_rules", "external_links")
_HARDENING = ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")
_SAFE_MOUNTS = ("volume", "tmpfs", "image")
_ENGINES = ("docker.sock", "containerd.sock", "podman.sock", "dockershim.sock", "crio.sock")


class PowerRefused(ComposeRejected):
    """The model asks for power over the host that the settings do not grant."""

    code = "power-refused"


def refuse_powers(rendered: Table, granted: Collection[str], *, project: str, setting: str) -> None:
    """Raises PowerRefused with everything that is asked for and not granted; `setting` names the table that
    could grant it.
    """
    asked = [(place, grant) for place, grant in _asked(rendered, project) if not _covers(granted, grant)]
    if asked:
        lines = ", ".join(f"{place} asks for {grant}" for place, grant in asked)
        missing = ", ".join(f'"{grant}"' for grant in dict.fromkeys(grant for _, grant in asked))
        raise PowerRefused(
            f"{lines}: that is power over the server",
            hint=f"if the repository may have it, grant it in the settings: [{setting}] allow = [{missing}]",
        )


def is_grant(text: str) -> bool:
    """Whether a setting is one that could grant anything."""
    key, colon, value = text.partition(":")
    if key in _PRESENT:
        return not colon
    if key == "bind":
        return value.startswith("/") and ".." not in PurePosixPath(value).parts
    return key in KEYS and bool(value)


def _covers(granted: Collection[str], grant: str) -> bool:
    key, _, path = grant.partition(":")
    if key != "bind":
        return grant in granted
    roots = {_place(text.removeprefix("bind:")) for text in granted if text.startswith("bind:")}
    if PurePosixPath(path).name in _ENGINES:
        return path in roots
    return any(PurePosixPath(path).is_relative_to(root) for root in roots)


def _place(path: str) -> str:
    """One spelling for a path: no dots, and `/var/run` is `/run`."""
    parts: list[str] = []
    for part in PurePosixPath("/", path).parts[1:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    whole = "/" + "/".join(parts)
    return whole.removeprefix("/var") if f"{whole}/".startswith("/var/run/") else whole


def _asked(rendered: Table, project: str) -> Iterator[tuple[str, str]]:
    folder = str(rendered.get(FOLDER, ""))
    for name, service in (rendered.get("services") or {}).items():
        place = f"service {name}"
        for grant in (*_of_namespaces(service), *_of_rights(service), *_of_mounts(service, folder)):
            yield place, grant
    for kind in ("configs", "secrets"):
        for name, table in (rendered.get(kind) or {}).items():
            if path := str((table or {}).get("file") or ""):
                yield from ((f"{kind[:-1]} {name}", grant) for grant in _of_path(path, folder))
    for name, table in (rendered.get("volumes") or {}).items():
        yield from ((f"volume {name}", grant) for grant in _of_volume(name, table or {}, project))
    for name, table in (rendered.get("networks") or {}).items():
        yield from ((f"network {name}", grant) for grant in _of_network(name, table or {}, project))


def _of_namespaces(service: Table) -> Iterator[str]:
    for key in _NAMESPACES:
        value = str(service.get(key) or "")
        if value not in _OWN and not value.startswith("service:"):
            yield f"{key}:{value}"
    yield from (
        f"volumes_from:{name}" for name in service.get("volumes_from") or () if _is_foreign(str(name))
    )


def _is_foreign(borrowed: str) -> bool:
    return borrowed.startswith("container:")


def _of_rights(service: Table) -> Iterator[str]:
    yield from (key for key in _PRESENT if service.get(key))
    yield from (f"{key}:{service[key]}" for key in _SINGLE if service.get(key) and service[key] != "runc")
    for capability in service.get("cap_add") or ():
        if str(capability).upper().removeprefix("CAP_") not in _USUAL_CAPABILITIES:
            yield f"cap_add:{str(capability).upper().removeprefix('CAP_')}"
    for option in service.get("security_opt") or ():
        if str(option) not in _HARDENING:
            yield f"security_opt:{option}"
    for key in _LISTED:
        yield from (f"{key}:{entry}" for entry in service.get(key) or ())
    yield from (f"devices:{_device(entry)}" for entry in service.get("devices") or ())
    reserved = ((service.get("deploy") or {}).get("resources") or {}).get("reservations") or {}
    if reserved.get("devices"):
        yield "gpus"
    hooks = [hook for key in ("post_start", "pre_stop") for hook in service.get(key) or ()]
    if any(hook.get("privileged") for hook in hooks):
        yield "privileged"


def _device(entry: object) -> str:
    """Compose prints `source:target:rights`, newer ones a table."""
    return str(entry.get("source", "")) if isinstance(entry, Mapping) else str(entry).partition(":")[0]


def _of_mounts(service: Table, folder: str) -> Iterator[str]:
    for mount in service.get("volumes") or ():
        kind = str(mount.get("type"))
        if kind == "bind":
            yield from _of_path(str(mount.get("source") or ""), folder)
            spread = str((mount.get("bind") or {}).get("propagation") or "")
            if spread not in ("", "private", "rprivate"):
                yield f"propagation:{spread}"
        elif kind not in _SAFE_MOUNTS:
            yield f"mount:{kind}"


def _of_path(path: str, folder: str) -> Iterator[str]:
    """The release's own files need no grant."""
    place = _place(path)
    if not folder or not PurePosixPath(place).is_relative_to(_place(folder)):
        yield f"bind:{place}"


def _of_volume(name: str, table: Table, project: str) -> Iterator[str]:
    """A volume of another project is another application's data, and a local one with options any mount."""
    options = table.get("driver_opts") or {}
    if str(table.get("driver") or "local") != "local":
        yield f"driver:{table['driver']}"
    elif str(options.get("type") or "") != "tmpfs" and options:
        device = str(options.get("device") or "")
        yield f"bind:{_place(device)}" if device.startswith("/") else f"mount:{options.get('type') or device}"
    called = str(table.get("name") or f"{project}_{name}")
    if table.get("external") or not called.startswith(f"{project}_"):
        yield f"volume:{called}"


def _of_network(name: str, table: Table, project: str) -> Iterator[str]:
    """A network of another project reaches that one's services from inside."""
    called = str(table.get("name") or f"{project}_{name}")
    if str(table.get("driver") or "bridge") not in ("bridge", "none"):
        yield f"driver:{table['driver']}"
    if table.get("external") or not called.startswith(f"{project}_"):
        yield f"network:{called}"
