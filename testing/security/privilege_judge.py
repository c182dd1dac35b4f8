"""A judge of its own: powers over the host in requests to the engine. In: requests as Compose sends them.
Out: the powers that they would give.

Written apart from the deployer's gate and from its tables, after the engine's documentation: it knows only
the fields that lead out of a container, and asks of each whether it does. Source:
https://docs.docker.com/engine/security/ and `docker run`'s reference.
"""

from __future__ import annotations

import ipaddress
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Request = Mapping[str, Any]
_DEFAULT_CAPABILITIES = frozenset(
    {
        *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP"),
        *("SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
    }
)
_SERVICE_POWERS = (
    *("privileged", "devices", "device_cgroup_rules", "gpus", "cgroup_parent", "annotations", "provider"),
)
_SPREADING = ("shared", "rshared", "slave", "rslave")
_HUGE = 50 * 2**30
_HASTE = 50_000_000  # nanoseconds between two checks, each of which the engine starts a process for
_CONTROLLERS = ("traefik", "caddy", "ofelia", "com.centurylinklabs")


def powers_of_container(body: Request, project: str, files: str) -> Iterator[str]:
    """`files`: the folder of the release that containers may read."""
    host = body["HostConfig"]
    yield from _isolation(host)
    yield from _mounts(host, project, files)
    yield from _neighbours(body, project)
    check = body.get("Healthcheck") or {}
    if any(0 < (check.get(key) or 0) < _HASTE for key in ("Interval", "StartInterval")):
        yield "haste"
    for label in body.get("Labels") or {}:
        if label.startswith(_CONTROLLERS):
            yield f"controller {label}"
    for text in body.get("Env") or ():
        if text.startswith(("VIRTUAL_HOST=", "LETSENCRYPT_HOST=")):
            yield "nginx-proxy"


def _isolation(host: Request) -> Iterator[str]:
    if host.get("Privileged"):
        yield "privileged"
    yield from _rights(host.get("CapAdd") or (), host.get("SecurityOpt") or ())
    for key in ("PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode", "NetworkMode"):
        if host.get(key) == "host" or (key == "NetworkMode" and host.get(key) in ("bridge", "default")):
            yield f"namespace {key}"
    for key in ("Devices", "DeviceCgroupRules", "DeviceRequests", "CgroupParent", "Annotations"):
        if host.get(key):
            yield key
    if any(host.get(key) for key in host if key.startswith(("BlkioDevice", "BlkioWeightDevice"))):
        yield "block device"
    if host.get("Runtime") not in (None, "", "runc"):
        yield "runtime"
    yield from _shares(host)


def _rights(capabilities: Iterable[str], options: Iterable[str]) -> Iterator[str]:
    for name in capabilities:
        if name.upper().replace("CAP_", "", 1) not in _DEFAULT_CAPABILITIES:
            yield f"capability {name}"
    for option in options:
        if not option.startswith("no-new-privileges") or "false" in option:
            yield f"security option {option[:40]}"


def _shares(host: Request) -> Iterator[str]:
    """More of the machine than others get, and what the engine does in the container's name."""
    if host.get("MaskedPaths") is not None:
        yield "kernel paths"
    if host.get("OomKillDisable") or (host.get("OomScoreAdj") or 0) < 0:
        yield "memory of others"
    if (host.get("ShmSize") or 0) > _HUGE or any(
        "00g" in text for text in (host.get("Tmpfs") or {}).values()
    ):
        yield "memory of the host"
    limits = {limit["Name"]: limit["Hard"] for limit in host.get("Ulimits") or ()}
    yield from _limits(limits, host.get("Sysctls") or {})
    log = host.get("LogConfig") or {}
    yield from _log(str(log.get("Type") or ""), log.get("Config") or {})
    if host.get("CpuRealtimeRuntime") or host.get("CpuRealtimePeriod"):
        yield "real-time processor"
    if set(host.get("StorageOpt") or {}) - {"size"}:
        yield "storage driver"


def _limits(limits: Mapping[str, Any], sysctls: Iterable[str]) -> Iterator[str]:
    for name, hard in limits.items():
        if (name == "memlock" and int(hard) < 0) or name in ("rtprio", "nice"):
            yield f"limit {name}"
    for name in sysctls:
        namespaced = name.startswith(("net.", "kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."))
        if not namespaced or "ipfrag" in name:
            yield f"sysctl {name}"


def _log(driver: str, options: Request) -> Iterator[str]:
    files = str(options.get("max-file") or 0)
    if files.isdecimal() and int(files) > 10_000:
        yield "log files"
    if driver not in ("", "json-file", "local", "none") or any("address" in option for option in options):
        yield "log driver"


def _mounts(host: Request, project: str, files: str) -> Iterator[str]:
    for text in host.get("Binds") or ():
        source, _, rest = text.partition(":")
        if source.startswith("/"):
            yield from _path(source, files)
        elif not source.startswith(f"{project}_"):
            yield f"volume {source}"
        if any(flag in rest.partition(":")[2] for flag in ("shared", "slave")):
            yield "propagation"
    for mount in host.get("Mounts") or ():
        source = str(mount.get("Source") or "")
        if mount["Type"] == "bind":
            yield from _path(source, files)
            if (mount.get("BindOptions") or {}).get("Propagation") in (
                "shared",
                "rshared",
                "slave",
                "rslave",
            ):
                yield "propagation"
        elif mount["Type"] == "volume" and source and not source.startswith(f"{project}_"):
            yield f"volume {source}"
        elif mount["Type"] not in ("volume", "tmpfs"):
            yield f"mount {mount['Type']}"


def _path(path: str, files: str) -> Iterator[str]:
    place = posixpath.normpath(path)
    if place != files and not place.startswith(f"{files}/"):
        yield f"path {place}"


def _neighbours(body: Request, project: str) -> Iterator[str]:
    host = body["HostConfig"]
    for key in ("PidMode", "IpcMode", "NetworkMode"):
        value = str(host.get(key) or "")
        if value.startswith("container:") and len(value) < 64:  # a name: its own ones are ids
            yield f"namespace of {value}"
    mode = str(host.get("NetworkMode") or "")
    if mode and mode not in ("none", "host", "bridge", "default") and ":" not in mode:
        yield from _network_name(mode, project)
    for name in host.get("VolumesFrom") or ():
        if len(name) < 64:
            yield f"volumes of {name}"
    links = [
        *(host.get("Links") or ()),
        *(
            link
            for endpoint in ((body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}).values()
            for link in (endpoint or {}).get("Links") or ()
        ),
    ]
    for link in links:
        if not link.lstrip("/").startswith(f"{project}-"):
            yield f"link {link}"
    for name, endpoint in ((body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}).items():
        yield from _network_name(name, project)
        if (endpoint or {}).get("DriverOpts"):
            yield "endpoint options"


def _network_name(name: str, project: str) -> Iterator[str]:
    if not name.startswith(f"{project}_"):
        yield f"network {name}"


def powers_of_name(name: str, neighbour: str) -> Iterator[str]:
    """A container that takes another project's name."""
    if name.startswith((f"{neighbour}-", f"{neighbour}_")):
        yield f"name {name}"


def powers_of_network(body: Request, project: str) -> Iterator[str]:
    yield from _network_name(str(body["Name"]), project)
    if body.get("Driver") not in (None, "", "bridge"):
        yield f"driver {body['Driver']}"
    for option in body.get("Options") or {}:
        if "mtu" not in option:
            yield f"option {option}"
    ipam = body.get("IPAM") or {}
    if ipam.get("Driver") not in (None, "", "default") or ipam.get("Options"):
        yield "ipam"
    for pool in ipam.get("Config") or ():
        if pool.get("Subnet") and not _is_private(pool["Subnet"]):
            yield f"subnet {pool['Subnet']}"


def _is_private(text: str) -> bool:
    """Both ends of the subnet, and all between them, are addresses that RFC 1918 or RFC 4193 gave away."""
    net = ipaddress.ip_network(text, strict=False)
    ends = (net.network_address, net.broadcast_address)
    if net.version == 6:
        return all(end.packed[0] == 0xFD for end in ends)
    first = [end.packed for end in ends]
    ten = all(octets[0] == 10 for octets in first)
    twelve = all(octets[0] == 172 and 16 <= octets[1] <= 31 for octets in first)
    sixteen = all(octets[:2] == bytes((192, 168)) for octets in first)
    return ten or twelve or sixteen


def powers_of_volume(body: Request, project: str) -> Iterator[str]:
    if not str(body["Name"]).startswith(f"{project}_"):
        yield f"volume {body['Name']}"
    if body.get("Driver") not in (None, "", "local"):
        yield f"driver {body['Driver']}"
    options = body.get("DriverOpts") or {}
    if options and (
        options.get("type") != "tmpfs" or options.get("device") != "tmpfs" or "bind" in options.get("o", "")
    ):
        yield f"mount {options}"


def powers_of_model(model: Mapping[str, Any], project: str, files: str) -> list[str]:
    """The same questions to a rendered model; `files`: the folder that Compose read it from."""
    found = [power for one in model["services"].values() for power in _of_service(one, files)]
    for body in (model.get("networks") or {}).values():
        ipam = (body or {}).get("ipam") or {}
        pools = [{"Subnet": pool.get("subnet")} for pool in ipam.get("config") or ()]
        asked = {"Driver": ipam.get("driver"), "Options": ipam.get("options"), "Config": pools}
        options = {"Options": (body or {}).get("driver_opts"), "IPAM": asked}
        found += powers_of_network({**_named(body or {}, project), **options}, project)
    for body in (model.get("volumes") or {}).values():
        options = {"DriverOpts": (body or {}).get("driver_opts")}
        found += powers_of_volume({**_named(body or {}, project), **options}, project)
    for kind in ("configs", "secrets"):
        for body in (model.get(kind) or {}).values():
            found += _path(body["file"], files) if (body or {}).get("file") else ()
    return found


def _named(body: Request, project: str) -> dict[str, Any]:
    return {"Name": body.get("name") or f"{project}_x", "Driver": body.get("driver")}


def _of_service(service: Request, files: str) -> Iterator[str]:
    yield from (key for key in _SERVICE_POWERS if service.get(key))
    yield from _rights(service.get("cap_add") or (), service.get("security_opt") or ())
    for key in ("pid", "ipc", "uts", "userns_mode", "cgroup", "network_mode"):
        value = str(service.get(key) or "")
        if value in ("host", "bridge") or value.startswith("container:"):
            yield f"namespace {key}"
    yield from _limits(_hard(service.get("ulimits") or {}), service.get("sysctls") or {})
    log = service.get("logging") or {}
    yield from _log(str(log.get("driver") or ""), log.get("options") or {})
    for mount in service.get("volumes") or ():
        yield from _of_volume(mount, files)
    for label in service.get("labels") or {}:
        if label.startswith((*_CONTROLLERS, "deployer.")):
            yield f"label {label}"
    yield from (f"link {link}" for link in service.get("external_links") or ())


def _hard(limits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: limit["hard"] if isinstance(limit, Mapping) else limit for name, limit in limits.items()}


def _of_volume(mount: Request, files: str) -> Iterator[str]:
    if mount["type"] == "bind":
        yield from _path(mount["source"], files)
        if (mount.get("bind") or {}).get("propagation") in _SPREADING:
            yield "propagation"
    elif mount["type"] not in ("volume", "tmpfs"):
        yield f"mount {mount['type']}"
