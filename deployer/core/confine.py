"""Which files Compose would read itself. In: one Compose file as plain values. Out: nothing, or
ComposeRejected.

`env_file`, `label_file`, `extends` and `include` are read by the server under its own user. Inside the bundle
that is the repository's text; outside it would be the server's settings and keys, put into a container's
environment.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from deployer.core.errors import ComposeRejected


def refuse_outside(document: Any) -> None:
    """Paths must be relative and stay inside the repository."""
    if not isinstance(document, Mapping):
        return
    for key, path in _read_paths(document):
        if path.startswith(("/", "~", "$")) or posixpath.normpath(path).startswith(".."):
            raise ComposeRejected(
                f"{key}: {path} is outside the repository",
                hint="put server-side values into the environment's variables file",
            )


def _read_paths(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (("include", path) for path in _paths(document.get("include")))
    services = document.get("services")
    for service in services.values() if isinstance(services, Mapping) else ():
        if isinstance(service, Mapping):
            yield from (
                (key, path) for key in ("env_file", "label_file") for path in _paths(service.get(key))
            )
            extends = service.get("extends")
            if isinstance(extends, Mapping):
                yield from (("extends", path) for path in _paths(extends.get("file")))


def _paths(value: Any) -> Iterator[str]:
    """A text, a table with `path` and `env_file`, or a list of these."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, Mapping):
        for key in ("path", "env_file", "project_directory"):
            yield from _paths(value.get(key))
