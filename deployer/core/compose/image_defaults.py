"""Settings that a container inherits from its image. In: a service of a rendered Compose model, its image's
configuration. Out: the service as its container will be, in Compose's own shapes. Never changes its
arguments.

The engine fills in where the Compose file is silent: the health check field by field (a zero counts as
silence), VOLUME where the file mounts nothing at the very path. Source of the rules: `merge` in
https://github.com/moby/moby/blob/v26.1.5/daemon/commit.go and the volumes' part of create_unix.go beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from posixpath import normpath
from typing import Any

from deployer.core.compose.services import seconds
from deployer.core.image_config import ImageConfig

Table = Mapping[str, Any]

_DURATIONS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}
_PORTS = "x-image-ports"  # kept apart from the file's own, which are more reliable
_NANOSECONDS = 1_000_000  # in a millisecond, the shortest time that the engine takes


def with_image_defaults(service: Table, config: ImageConfig | None) -> Table:
    """Returns the service completed by its image, or unchanged if the image's configuration is not known."""
    if config is None:
        return service
    completed = {
        "healthcheck": _check_in_force(service.get("healthcheck") or {}, config.healthcheck),
        _PORTS: [number for port in config.ports if (number := _tcp_port(port))],
        "environment": dict(_pairs(config.environment)) | dict(service.get("environment") or {}),
        "volumes": [*(service.get("volumes") or ()), *_volumes(service, config)],
    }
    return {**service, **{key: value for key, value in completed.items() if value}}


def image_ports(service: Table) -> tuple[int, ...]:
    """Returns the TCP ports that the image of a completed service names with EXPOSE."""
    return tuple(service.get(_PORTS) or ())


def _tcp_port(text: str) -> int:
    number, _, protocol = text.partition("/")
    return int(number) if number.isdigit() and protocol in ("", "tcp") and int(number) < 65_536 else 0


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.partition("=")
        yield name, value


def _check_in_force(own: Table, images: Mapping[str, Any]) -> Table:
    """Returns the file's health check merged over the image's; `disable` and `NONE` in the file end it. An
    image's value of a type that the engine refuses counts as silence.
    """
    if own.get("disable"):
        return own
    inherited: dict[str, Any] = {
        key: f"{_positive(images.get(name)) // _NANOSECONDS}ms" for key, name in _DURATIONS.items()
    }
    inherited |= {"retries": _positive(images.get("Retries")), "test": _words(images.get("Test"))}
    return {
        key: value for table in (inherited, own) for key, value in table.items() if not _is_silent(key, value)
    }


def _positive(value: Any) -> int:
    return max(0, value) if isinstance(value, int) else 0


def _words(value: Any) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else []


def _is_silent(key: str, value: Any) -> bool:
    return not value or (key in _DURATIONS and not seconds(value, 0))


def _volumes(service: Table, config: ImageConfig) -> list[Table]:
    """Returns the image's volumes for which the engine makes a nameless one."""
    taken = {normpath(str(mount.get("target"))) for mount in service.get("volumes") or ()}
    taken |= {normpath(str(path).partition(":")[0]) for path in _texts(service.get("tmpfs"))}
    paths = dict.fromkeys(normpath(path) for path in config.volumes)
    return [{"type": "volume", "target": path} for path in paths if path not in taken]


def _texts(value: Any) -> list[str]:
    """Returns a list: Compose takes a text or a list of them."""
    return [value] if isinstance(value, str) else list(value or ())
