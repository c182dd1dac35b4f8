"""Independent judge of powers over the host in requests to the engine. In: requests as Compose sends them.
Out: the powers that they would give.

It is written apart from the deployer's judgement and from its tables, after the engine's documentation: it
knows the fields that can lead out of a container, and checks each. Source:
https://docs.docker.com/engine/security/ and `docker run`'s reference.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from testing.security.request_fields import CONTAINER, HOST, NETWORK, VOLUME
from testing.security.request_limits import (
    bytes_of,
    deeper_fields,
    labels_of_mounts,
    log_files,
    memory_by_options,
    memory_of,
    ports_of,
)
from testing.security.value_parts import NEIGHBOURS

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
_USUAL_SHARES, _USUAL_WEIGHT, _LONGEST_STOP, _MOST_BUFFERED = 1024, 500, 3600, 64 * 2**20
_MOST_LOCKED = {"memlock": 2**30, "nofile": 2**24}  # kernel memory
_WIDEST = {4: 16, 6: 48}
_PROJECT = "com.docker.compose.project"
_ARCHIVE = ("path", "noOverwriteDirNonDir", "copyUIDGID")
_INSIDE = (
    ".mtu",
    ".enable_icc",
    ".enable_ip_masquerade",
    ".container_iface_prefix",
)  # the container's own network
_SPREADING = ("shared", "rshared", "slave", "rslave")
_HUGE = 2 * 2**30
_HASTE = 50_000_000  # nanoseconds between two checks; the engine starts a process for each
_CONTROLLERS = ("traefik", "caddy", "ofelia", "com.centurylinklabs")


def powers_of_container(body: Request, project: str, files: str) -> Iterator[str]:
    """Yields the powers of a container. `files`: the folder of the release that containers may read."""
    host = body["HostConfig"]
    yield from _isolation(host)
    yield from _mounts(host, project, files)
    yield from deeper_fields(body)
    yield from memory_of(host)
    yield from labels_of_mounts(host.get("Mounts") or ())
    yield from ports_of(host.get("PortBindings") or {})
    yield from _neighbours(body, project)
    check = body.get("Healthcheck") or {}
    if any(0 < (check.get(key) or 0) < _HASTE for key in ("Interval", "StartInterval")):
        yield "haste"
    yield from _unknown(body, CONTAINER)
    yield from _unknown(host, HOST)
    yield from _labels(body.get("Labels") or {}, project, ("deployer.new",))
    if (body.get("StopTimeout") or 0) > _LONGEST_STOP:
        yield "the engine waits"
    for label in body.get("Labels") or {}:
        if label.startswith(_CONTROLLERS):
            yield f"controller {label}"
    if any(text.startswith(("VIRTUAL_HOST=", "LETSENCRYPT_HOST=")) for text in body.get("Env") or ()):
        yield "nginx-proxy"


def _unknown(body: Request, known: Iterable[str]) -> Iterator[str]:
    """Yields fields that are unknown to the documentation of this judge, or that Compose never sets."""
    for key in set(body) - set(known):
        if body[key] and any(body[key].values() if isinstance(body[key], dict) else [body[key]]):
            yield f"field {key}"


def _labels(labels: Mapping[str, str], project: str, reserved: tuple[str, ...]) -> Iterator[str]:
    """Yields a foreign project's label, and labels by which the deployer recognises its own containers."""
    if labels.get(_PROJECT, project) != project:
        yield f"project {labels[_PROJECT]}"
    yield from (f"label {name}" for name in labels if name.startswith(reserved))


def powers_of_archives(queries: Iterable[str]) -> Iterator[str]:
    """Yields query keys of archives other than the place."""
    for query in queries:
        yield from (f"archive {part}" for part in query.split("&") if not part.startswith(_ARCHIVE))


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
    """Yields shares of the machine beyond other containers', and work of the engine for the container."""
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
    if (host.get("CpuShares") or 0) > _USUAL_SHARES or (host.get("BlkioWeight") or 0) > _USUAL_WEIGHT:
        yield "time of others"
    if host.get("CpuRealtimeRuntime") or host.get("CpuRealtimePeriod"):
        yield "real-time processor"
    if set(host.get("StorageOpt") or {}) - {"size"}:
        yield "storage driver"


def _limits(limits: Mapping[str, Any], sysctls: Iterable[str]) -> Iterator[str]:
    for name, hard in limits.items():
        endless = not 0 <= int(hard) <= _MOST_LOCKED.get(name, 2**62)
        if (name in _MOST_LOCKED and endless) or name in ("rtprio", "nice", "rttime", "msgqueue"):
            yield f"limit {name}"
    for name in sysctls:
        namespaced = name.startswith(("net.", "kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."))
        if not namespaced or "ipfrag" in name:
            yield f"sysctl {name}"


def _log(driver: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Yields log options by which the engine, root in the host's network, sends bytes or works itself."""
    for action in re.findall(r"\{\{(.*?)\}\}", str(options.get("tag") or "")):
        if not re.fullmatch(r"\s*\.[A-Za-z]+\s*", action):
            yield f"template {action}"
    yield from log_files(options)
    if bytes_of(options.get("max-buffer-size")) > _MOST_BUFFERED:
        yield "memory of the engine"
    if driver not in ("", "json-file", "local", "none") or any("address" in option for option in options):
        yield "log driver"


def _mounts(host: Request, project: str, files: str) -> Iterator[str]:
    for text in host.get("Binds") or ():
        source, _, rest = text.partition(":")
        if source.startswith("/"):
            yield from _path(source, files)
        elif not _owns(project, source):
            yield f"volume {source}"
        if any(flag in rest.partition(":")[2] for flag in ("shared", "slave")):
            yield "propagation"
    for mount in host.get("Mounts") or ():
        source = str(mount.get("Source") or "")
        if mount["Type"] == "bind":
            yield from _path(source, files)
            if (mount.get("BindOptions") or {}).get("Propagation") in _SPREADING:
                yield "propagation"
        elif mount["Type"] == "volume" and source and not _owns(project, source):
            yield f"volume {source}"
        elif mount["Type"] not in ("volume", "tmpfs"):
            yield f"mount {mount['Type']}"


def _owns(project: str, name: str) -> bool:
    """True if the name belongs to the project: the longest project name at its beginning wins."""
    longer = (other for other in NEIGHBOURS if other.startswith(project) and other != project)
    return name.startswith(f"{project}_") and not name.startswith(tuple(f"{other}_" for other in longer))


def _path(path: str, files: str) -> Iterator[str]:
    place = posixpath.normpath(path)
    if place != files and not place.startswith(f"{files}/"):
        yield f"path {place}"


def _neighbours(body: Request, project: str) -> Iterator[str]:
    host = body["HostConfig"]
    for key in ("PidMode", "IpcMode", "NetworkMode"):
        value = str(host.get(key) or "")
        if value.startswith("container:") and len(value) < 64:  # a name: the project's own are ids
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
    if not _owns(project, name):
        yield f"network {name}"


def powers_of_network(body: Request, project: str) -> Iterator[str]:
    yield from _network_name(str(body["Name"]), project)
    yield from _unknown(body, NETWORK)
    yield from deeper_fields(body)
    yield from _labels(body.get("Labels") or {}, project, ("deployer.",))
    if body.get("Scope") not in (None, "", "local"):
        yield f"scope {body['Scope']}"
    if body.get("Driver") not in (None, "", "bridge", "none"):
        yield f"driver {body['Driver']}"
    for option in body.get("Options") or {}:
        if not option.endswith(_INSIDE):
            yield f"option {option}"
    ipam = body.get("IPAM") or {}
    if ipam.get("Driver") not in (None, "", "default") or ipam.get("Options"):
        yield "ipam"
    for pool in ipam.get("Config") or ():
        for text in filter(None, (pool.get("Subnet"), pool.get("IPRange"))):
            if not _is_private(text):
                yield f"subnet {text}"


def _is_private(text: str) -> bool:
    """True if the whole subnet is private (RFC 1918, RFC 4193) and not larger than one application needs."""
    net = ipaddress.ip_network(text, strict=False)
    if net.prefixlen < _WIDEST[net.version]:
        return False
    ends = (net.network_address, net.broadcast_address)
    if net.version == 6:
        return all(end.packed[0] == 0xFD for end in ends)
    first = [end.packed for end in ends]
    ten = all(octets[0] == 10 for octets in first)
    twelve = all(octets[0] == 172 and 16 <= octets[1] <= 31 for octets in first)
    sixteen = all(octets[:2] == bytes((192, 168)) for octets in first)
    return ten or twelve or sixteen


def powers_of_volume(body: Request, project: str) -> Iterator[str]:
    yield from _unknown(body, VOLUME)
    yield from _labels(body.get("Labels") or {}, project, ("deployer.",))
    if not _owns(project, str(body["Name"])):
        yield f"volume {body['Name']}"
    if body.get("Driver") not in (None, "", "local"):
        yield f"driver {body['Driver']}"
    options = body.get("DriverOpts") or {}
    yield from memory_by_options(str(options.get("o") or ""))
    yield from (f"option {name}" for name in set(options) - {"type", "device", "o"})
    if options and (
        options.get("type") != "tmpfs" or options.get("device") != "tmpfs" or "bind" in options.get("o", "")
    ):
        yield f"mount {options}"


def powers_of_model(model: Mapping[str, Any], project: str, files: str) -> list[str]:
    """Returns the powers in a rendered model; `files`: the folder that Compose read it from."""
    found = [power for one in model["services"].values() for power in _of_service(one, files)]
    for body in (model.get("networks") or {}).values():
        ipam = (body or {}).get("ipam") or {}
        pools = [{"Subnet": pool.get("subnet")} for pool in ipam.get("config") or ()]
        asked = {"Driver": ipam.get("driver"), "Options": ipam.get("options"), "Config": pools}
        options = {"Options": (body or {}).get("driver_opts"), "IPAM": asked, "Labels": _own_labels(body)}
        found += powers_of_network({**_named(body or {}, project), **options}, project)
    for body in (model.get("volumes") or {}).values():
        options = {"DriverOpts": (body or {}).get("driver_opts"), "Labels": _own_labels(body)}
        found += powers_of_volume({**_named(body or {}, project), **options}, project)
    for kind in ("configs", "secrets"):
        for body in (model.get(kind) or {}).values():
            found += _path(body["file"], files) if (body or {}).get("file") else ()
    return found


def _own_labels(body: Request | None) -> Request:
    """Returns the labels without the project's: Compose overwrites it."""
    return {name: text for name, text in ((body or {}).get("labels") or {}).items() if name != _PROJECT}


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
    if any((endpoint or {}).get("driver_opts") for endpoint in (service.get("networks") or {}).values()):
        yield "endpoint options"
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
