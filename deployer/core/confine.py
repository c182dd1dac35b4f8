"""Which files Compose would read itself. In: one Compose file as plain values, the variables it
will be filled with. Out: nothing, or ComposeRejected.

`env_file`, `label_file`, `extends` and `include` are read by the server under its own user. Inside the bundle
that is the repository's text; outside it would be the server's settings and keys, put into a container's
environment. Nor may a file be fetched from elsewhere: what an include from another repository reads would be
seen by nobody.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deployer.core.errors import ComposeRejected

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_DEFAULT = re.compile(r"(?<=[A-Za-z0-9_]):(?=[-?+])")  # within `${NAME:-default}`


def refuse_outside(document: Any, variables: Mapping[str, str]) -> None:
    """Paths must be relative and stay inside the repository, whatever their variables hold."""
    if not isinstance(document, Mapping):
        return
    for key, path in _read_paths(document):
        if _is_remote(path):
            raise ComposeRejected(
                f"{key}: {path} is not a file of the repository", hint="put a copy of it into the repository"
            )
        if _leads_out(path) or any(_leads_on(path, name, value) for name, value in variables.items()):
            raise ComposeRejected(
                f"{key}: {path} is outside the repository",
                hint="put server-side values into the environment's variables file",
            )


def _is_remote(path: str) -> bool:
    """As Compose tells a Git or OCI reference from a path; a default value, `${A:-b}`, has a colon too."""
    plain = _DEFAULT.sub("", path)
    return ":" in plain or "@" in plain or plain.startswith("github.com/")


def _leads_out(path: str) -> bool:
    if path.startswith(("/", "~", "$")) or posixpath.normpath(path).startswith(".."):
        return True
    return "$" in path and ".." in path


def _leads_on(path: str, name: str, value: str) -> bool:
    """Whether the variable stands in the path and could lead out of it: a name of a folder or file cannot."""
    return name in _VARIABLE.findall(path) and ("/" in value or ".." in value)


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
