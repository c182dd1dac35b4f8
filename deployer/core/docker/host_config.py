"""Powers that the `HostConfig` of a request for a container asks for. In: the request's part, the permissions
of its project. Out: the grants that would allow it.

Free fields concern the container alone; judged fields ask for a grant by their value; a field that is not
named here must be empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from deployer.core.docker.request_shapes import HOST_PARTS, Fields
from deployer.core.permissions import engine_load, host_access, memory
from deployer.core.permissions.grants import host_path
from deployer.core.permissions.project_permissions import Permissions, Present

Body = Mapping[str, Any]

_FREE_HOST = frozenset(
    {
        *("RestartPolicy", "ConsoleSize", "CapDrop", "Dns", "DnsOptions", "DnsSearch"),
        *("ExtraHosts", "GroupAdd", "ReadonlyRootfs", "CpuShares", "Memory", "NanoCpus"),
        *("BlkioWeight", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems", "KernelMemory"),
        *("KernelMemoryTCP", "MemoryReservation", "MemorySwap", "MemorySwappiness", "PidsLimit", "Init"),
    }
)
_JUDGED_HOST = frozenset(
    {
        *("Annotations", "Binds", "CapAdd", "CgroupParent", "CgroupnsMode", "CpuRealtimePeriod"),
        *("CpuRealtimeRuntime", "DeviceCgroupRules", "DeviceRequests", "Devices", "IpcMode", "Links"),
        *("LogConfig", "MaskedPaths", "Mounts", "NetworkMode", "OomKillDisable", "OomScoreAdj", "PidMode"),
        *("PortBindings", "Privileged", "ReadonlyPaths", "Runtime", "SecurityOpt", "ShmSize"),
        *("StorageOpt", "Sysctls", "Tmpfs", "UTSMode", "Ulimits", "UsernsMode", "VolumesFrom"),
        *(f"BlkioDevice{way}{unit}" for way in ("Read", "Write") for unit in ("Bps", "IOps")),
        "BlkioWeightDevice",
    }
)
HOST = Fields("HostConfig", _FREE_HOST | _JUDGED_HOST, HOST_PARTS)
_BIND_FLAGS = frozenset({"", "ro", "rw", "z", "Z", "nocopy", "private", "rprivate"})
_NAMESPACES = {
    "NetworkMode": "network_mode",
    "PidMode": "pid",
    "IpcMode": "ipc",
    "UTSMode": "uts",
    "UsernsMode": "userns_mode",
    "CgroupnsMode": "cgroup",
}


def asked_by_host_config(host: Body, permissions: Permissions, present: Present) -> Iterator[str]:
    """Yields the grants that a container's settings on its host would need, including granted ones."""
    yield from _asked_by_namespaces(host, permissions, present)
    yield from _asked_by_rights(host)
    yield from _asked_by_devices(host)
    yield from _asked_by_limits(host)
    bindings: Mapping[str, Any] = host.get("PortBindings") or {}
    yield from engine_load.counts(ports=sum(len(bound or ()) for bound in bindings.values()))
    for bind in host.get("Binds") or ():
        yield from _asked_by_bind(str(bind), permissions, present)
    for mount in host.get("Mounts") or ():
        yield from _asked_by_mount(mount, permissions, present)
    yield from asked_by_links(host.get("Links") or (), present)


def asked_by_links(links: Iterable[object], present: Present) -> Iterator[str]:
    """Yields grants for links (`NAME:ALIAS`) to foreign containers."""
    for link in links:
        name, _, alias = str(link).lstrip("/").partition(":")
        if name not in present.containers:
            yield f"external_links:{name}" + (f":{alias}" if alias not in ("", name) else "")


def _asked_by_namespaces(host: Body, permissions: Permissions, present: Present) -> Iterator[str]:
    for key, word in _NAMESPACES.items():
        value = str(host.get(key) or "")
        kind, _, container = value.partition(":")
        is_network = key == "NetworkMode" and permissions.allows_network(value)
        is_own = kind == "container" and container in present.containers
        if not (host_access.is_own_namespace(word, value) or is_network or is_own):
            yield f"{word}:{value}"
    for entry in host.get("VolumesFrom") or ():
        if str(entry).partition(":")[0] not in present.containers:
            yield f"volumes_from:container:{entry}"


def _asked_by_rights(host: Body) -> Iterator[str]:
    if host.get("Privileged"):
        yield "privileged"
    yield from host_access.capabilities(host.get("CapAdd") or ())
    yield from host_access.security_options(host.get("SecurityOpt") or ())
    if host.get("MaskedPaths") is not None or host.get("ReadonlyPaths") is not None:
        yield "security_opt:systempaths=unconfined"
    if host.get("CgroupParent"):
        yield f"cgroup_parent:{host['CgroupParent']}"
    if host.get("Runtime") not in (None, "", "runc"):
        yield f"runtime:{host['Runtime']}"
    yield from host_access.runtime_annotations(host.get("Annotations") or {})


def _asked_by_devices(host: Body) -> Iterator[str]:
    yield from (f"devices:{one.get('PathOnHost', '')}" for one in host.get("Devices") or ())
    yield from (f"device_cgroup_rules:{rule}" for rule in host.get("DeviceCgroupRules") or ())
    if host.get("DeviceRequests"):
        yield "gpus"
    if any(host.get(key) for key in host if key.startswith(("BlkioDevice", "BlkioWeightDevice"))):
        yield "blkio_config"


def _asked_by_limits(host: Body) -> Iterator[str]:
    yield from host_access.limits({one["Name"]: int(one["Hard"]) for one in host.get("Ulimits") or ()})
    yield from host_access.kernel_settings(host.get("Sysctls") or {})
    sizes = [memory.size_of_tmpfs(str(text)) for text in (host.get("Tmpfs") or {}).values()]
    mounts: Iterable[Body] = host.get("Mounts") or ()
    sizes += [memory.size_of((mount.get("TmpfsOptions") or {}).get("SizeBytes")) for mount in mounts]
    yield from memory.memory_file_systems(int(host.get("ShmSize") or 0), sizes)
    if set(host.get("StorageOpt") or {}) - {"size"}:
        yield "storage_opt"
    flags = {
        "cpu_rt": host.get("CpuRealtimePeriod") or host.get("CpuRealtimeRuntime"),
        "oom_kill_disable": host.get("OomKillDisable"),
        "oom_score_adj": int(host.get("OomScoreAdj") or 0) < 0,
    }
    yield from (grant for grant, is_asked in flags.items() if is_asked)
    yield from host_access.processor_shares(host.get("CpuShares"), host.get("BlkioWeight"))


def _asked_by_bind(text: str, permissions: Permissions, present: Present) -> Iterator[str]:
    """Yields the grants of `SOURCE:TARGET[:FLAGS]`; a source that is not a path is a volume's name."""
    source, _, rest = text.partition(":")
    flags = set(rest.partition(":")[2].split(","))
    yield from (f"propagation:{flag}" for flag in sorted(flags - _BIND_FLAGS))
    if source.startswith("/"):
        yield from _asked_by_path(source, permissions, read_only="ro" in flags)
    else:
        yield from _asked_by_volume_name(source, permissions, present)


def _asked_by_mount(mount: Body, permissions: Permissions, present: Present) -> Iterator[str]:
    kind, source = str(mount.get("Type")), str(mount.get("Source") or "")
    if kind == "bind":
        yield from _asked_by_path(source, permissions, read_only=bool(mount.get("ReadOnly")))
        options = mount.get("BindOptions") or {}
        if options.get("Propagation") not in (None, "", "private", "rprivate"):
            yield f"propagation:{options['Propagation']}"
    elif kind == "volume":
        yield from host_access.volume_labels((mount.get("VolumeOptions") or {}).get("Labels") or {})
        yield from _asked_by_volume_name(source, permissions, present)
    elif kind != "tmpfs":
        yield f"mount:{kind}"


def _asked_by_path(path: str, permissions: Permissions, *, read_only: bool) -> Iterator[str]:
    """Yields the grant of a path. The release's files may be read; every other path of the host needs a
    grant.
    """
    readable = (*permissions.readable, *host_access.READABLE_BY_ALL) if read_only else ()
    if not is_inside(path, (*permissions.writable, *readable)):
        yield f"bind:{host_path(path)}"


def is_inside(path: str, folders: Iterable[str]) -> bool:
    """True if a path of the host is one of these paths or lies in one of them."""
    place = PurePosixPath(host_path(path))
    return any(place.is_relative_to(host_path(folder)) for folder in folders)


def _asked_by_volume_name(name: str, permissions: Permissions, present: Present) -> Iterator[str]:
    """Yields the grant of a volume. An anonymous volume needs none: it is new, or the replaced
    container's.
    """
    if name and name not in present.volumes and not permissions.allows_volume(name):
        yield f"volume:{name}"
