"""Checks of the independent judge of amounts and of nested fields in a request. In: parts of requests to the
engine. Out: the powers that they would give.

After https://docs.docker.com/reference/api/engine/version/v1.45/, apart from the deployer's tables.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

Request = Mapping[str, Any]
_MOST_IN_MEMORY = 2 * 2**30
_MOST_FILES, _MOST_PORTS = 100, 1_000
_OWN_LABELS = ("deployer.",)
_KNOWN: Mapping[str, Collection[str]] = {
    "Healthcheck": ("Test", "Interval", "Timeout", "Retries", "StartPeriod", "StartInterval"),
    "HostConfig.RestartPolicy": ("Name", "MaximumRetryCount"),
    "HostConfig.LogConfig": ("Type", "Config"),
    "HostConfig.Ulimits": ("Name", "Soft", "Hard"),
    "HostConfig.PortBindings.*": ("HostIp", "HostPort"),
    "HostConfig.Mounts": (
        *("Type", "Source", "Target", "ReadOnly", "Consistency", "BindOptions", "VolumeOptions"),
        "TmpfsOptions",
    ),
    "HostConfig.Mounts.BindOptions": (
        *("Propagation", "NonRecursive", "CreateMountpoint", "ReadOnlyNonRecursive"),
        "ReadOnlyForceRecursive",
    ),
    "HostConfig.Mounts.VolumeOptions": ("NoCopy", "Labels", "Subpath"),
    "HostConfig.Mounts.TmpfsOptions": ("SizeBytes", "Mode"),
    "NetworkingConfig": ("EndpointsConfig",),
    "NetworkingConfig.EndpointsConfig.*.IPAMConfig": ("IPv4Address", "IPv6Address", "LinkLocalIPs"),
    "IPAM": ("Driver", "Options", "Config"),
    "IPAM.Config": ("Subnet", "IPRange", "Gateway", "AuxiliaryAddresses", "AuxAddress"),
}


def deeper_fields(body: Request) -> Iterator[str]:
    """Yields unknown fields below the first level."""
    for path, known in _KNOWN.items():
        for table in _at(body, path.split(".")):
            yield from (f"field {path}.{key}" for key in table if key not in known and _is_set(table[key]))


def _at(value: Any, path: list[str]) -> Iterator[Request]:
    """Yields the tables at a path; `*` stands for every name, lists are traversed."""
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _at(inner, path)
    elif isinstance(value, Mapping) and not path:
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values() if path[0] == "*" else [value.get(path[0])]:
            yield from _at(inner, path[1:])


def _is_set(value: Any) -> bool:
    return any(map(_is_set, value.values())) if isinstance(value, Mapping) else bool(value)


def bytes_of(size: object) -> float:
    """Parses a size like Docker's tools."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)i?b?\s*", str(size or 0).lower())
    return float(found[1]) * 1024 ** " kmgtp".index(found[2] or " ") if found else float("inf")


def memory_by_options(options: str) -> Iterator[str]:
    """Yields a size in the options of mount(8) beyond the limit. A percentage is a share of the host's
    memory; the kernel's default is half of it.
    """
    for option in options.split(","):
        name, _, size = option.strip().partition("=")
        share = re.fullmatch(r"([0-9]+)%", size)
        if name == "size" and (int(share[1]) > 50 if share else bytes_of(size) > _MOST_IN_MEMORY):
            yield f"memory {option}"


def memory_of(host: Request) -> Iterator[str]:
    """Yields memory file systems that are larger than the limit of shared memory."""
    for options in (host.get("Tmpfs") or {}).values():
        yield from memory_by_options(str(options))
    for mount in host.get("Mounts") or ():
        if ((mount.get("TmpfsOptions") or {}).get("SizeBytes") or 0) > _MOST_IN_MEMORY:
            yield "memory of a mount"


def labels_of_mounts(mounts: Iterable[Request]) -> Iterator[str]:
    """Yields labels of volumes that the engine makes with the container."""
    for mount in mounts:
        labels = (mount.get("VolumeOptions") or {}).get("Labels") or {}
        yield from (f"label {name} of a volume" for name in labels if name.startswith(_OWN_LABELS))


def log_files(options: Request) -> Iterator[str]:
    """Yields too many log files: the engine renames each at a rotation, and looks for them at each
    reading.
    """
    for name in ("max-file", "cache-max-file"):
        text = str(options.get(name) or "1")
        if not text.isdigit() or int(text) > _MOST_FILES:
            yield f"log files {text}"


def ports_of(bindings: Mapping[str, Any]) -> Iterator[str]:
    """Yields addresses that two parsers read differently, and more ports than one application needs. The
    engine takes one port out of a range.
    """
    held = [one for bound in bindings.values() for one in bound or ()]
    for binding in held:
        address = str(binding.get("HostIp") or "")
        if address and not _is_plain(address):
            yield f"address {address}"
    if len(held) > _MOST_PORTS:
        yield f"{len(held)} ports"


def _is_plain(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return str(address) == text.lower() and "%" not in text and "::ffff:" not in text.lower()
