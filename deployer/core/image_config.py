"""Configuration of an image. In: the `config` object of an OCI image, as a registry or an engine returns it.
Out: `ImageConfig`, the values that a container inherits unless its Compose file sets them.

Never asks a registry or an engine. Source: https://github.com/opencontainers/image-spec/blob/main/config.md;
`Healthcheck` is Docker's own extension, its durations are nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImageConfig:
    """Values that an image's Dockerfile declared. Shapes: labels name → text, ports `80/tcp`, volumes
    absolute paths, `healthcheck` as the engine has it (`Test`, `Interval` in nanoseconds), empty without one.
    """

    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    healthcheck: Mapping[str, Any] = field(default_factory=dict, hash=False)
    environment: tuple[str, ...] = ()  # `NAME=value`
    command: tuple[str, ...] = ()  # entrypoint and command, one after the other


def parse_image_config(config: Mapping[str, Any]) -> ImageConfig:
    """Reads the `config` object. Values of another shape than the specification's count as absent."""
    return ImageConfig(
        labels={str(name): str(text) for name, text in _table(config, "Labels").items()},
        ports=tuple(sorted(str(port) for port in _table(config, "ExposedPorts"))),
        volumes=tuple(sorted(str(path) for path in _table(config, "Volumes"))),
        healthcheck=_table(config, "Healthcheck"),
        environment=_texts(config, "Env"),
        command=(*_texts(config, "Entrypoint"), *_texts(config, "Cmd")),
    )


def _table(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = config.get(key)
    return value if isinstance(value, Mapping) else {}


def _texts(config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = config.get(key)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
