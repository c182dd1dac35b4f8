"""Shapes of requests to the Docker engine: the fields of an object and of the objects in it, each by its
exact name. In: a part of a request. Out: grants for the fields that no shape names.

The engine is written in Go, which matches the keys of JSON without regard to case, so `subnet` beside
`Subnet` would be a second value for a judged field. A key that differs from a named one by its case alone is
refused with any value.

Source: https://docs.docker.com/reference/api/engine/version/v1.51/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Fields:
    """Shape of one object. `name` precedes its fields in a grant; `plain` fields hold values, `nested` fields
    hold objects.
    """

    name: str
    plain: frozenset[str]
    nested: Mapping[str, Fields | Each] = field(default_factory=dict, hash=False)

    @cached_property
    def folded(self) -> frozenset[str]:
        """Returns the names without regard to case."""
        return frozenset(key.casefold() for key in (*self.plain, *self.nested))


@dataclass(frozen=True)
class Each:
    """Shape of a list of objects, or of a table of objects under free names."""

    of: Fields | Each

    @property
    def name(self) -> str:
        return self.of.name


def unnamed_fields(value: object, shape: Fields | Each) -> Iterator[str]:
    """Yields grants for fields that the shape does not name and that are not empty, and for parts that are
    not objects.
    """
    if value is None:
        return
    if isinstance(shape, Each):
        yield from _unnamed_in_each(value, shape)
    elif not isinstance(value, Mapping):
        yield f"request:{shape.name}"
    else:
        yield from _unnamed_in_object(value, shape)


def _unnamed_in_each(value: object, shape: Each) -> Iterator[str]:
    """Yields the grants of all parts. A table may hold null for a name, a list may not."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from unnamed_fields(part, shape.of)
    elif isinstance(value, list | tuple) and None not in value:
        for part in value:
            yield from unnamed_fields(part, shape.of)
    else:
        yield f"request:{shape.name}"


def _unnamed_in_object(value: Body, shape: Fields) -> Iterator[str]:
    for key in sorted(value):
        if key in shape.nested:
            yield from unnamed_fields(value[key], shape.nested[key])
        elif key not in shape.plain and (key.casefold() in shape.folded or _is_set(key, value[key])):
            yield f"request:{f'{shape.name}.{key}'.lstrip('.')}"


def _is_set(key: str, value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_is_set(inner, held) for inner, held in value.items())
    return bool(value) and (key, value) != ("Isolation", "default")


def _fields(name: str, words: str, **nested: Fields | Each) -> Fields:
    return Fields(name, frozenset(words.split()), nested)


_NOTHING = _fields("Nothing", "")  # as in `ExposedPorts`: the names alone count
NAMES = Each(_NOTHING)
ENDPOINT = _fields(
    "Endpoint",
    "Aliases MacAddress NetworkID EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address "
    "GlobalIPv6PrefixLen DNSNames GwPriority DriverOpts Links",
    IPAMConfig=_fields("IPAMConfig", "IPv4Address IPv6Address LinkLocalIPs"),
)
NETWORKING = _fields("NetworkingConfig", "", EndpointsConfig=Each(ENDPOINT))
HEALTHCHECK = _fields("Healthcheck", "Test Interval Timeout StartPeriod StartInterval Retries")
_RATES = Each(_fields("BlkioDevice", "Path Rate Weight"))
HOST_PARTS: Mapping[str, Fields | Each] = {
    "LogConfig": _fields("LogConfig", "Type Config"),
    "RestartPolicy": _fields("RestartPolicy", "Name MaximumRetryCount"),
    "PortBindings": Each(Each(_fields("PortBinding", "HostIp HostPort"))),
    "Ulimits": Each(_fields("Ulimit", "Name Soft Hard")),
    "Devices": Each(_fields("Device", "PathOnHost PathInContainer CgroupPermissions")),
    "DeviceRequests": Each(_fields("DeviceRequest", "Driver Count DeviceIDs Capabilities Options")),
    "Mounts": Each(
        _fields(
            "Mount",
            "Type Source Target ReadOnly Consistency",
            BindOptions=_fields(
                "BindOptions",
                "Propagation NonRecursive CreateMountpoint ReadOnlyForceRecursive ReadOnlyNonRecursive",
            ),
            VolumeOptions=_fields("VolumeOptions", "NoCopy Labels Subpath"),
            TmpfsOptions=_fields("TmpfsOptions", "SizeBytes Mode"),
        )
    ),
    **{f"BlkioDevice{way}{unit}": _RATES for way in ("Read", "Write") for unit in ("Bps", "IOps")},
    "BlkioWeightDevice": _RATES,
}
NETWORK = _fields(
    "Network",
    "Name CheckDuplicate Internal Attachable EnableIPv4 EnableIPv6 Labels Options Driver Scope",
    IPAM=_fields(
        "IPAM", "Driver Options", Config=Each(_fields("Pool", "Subnet IPRange Gateway AuxiliaryAddresses"))
    ),
)
VOLUME = _fields("Volume", "Name Driver DriverOpts Labels")
