"""Path policy for the files that Compose reads by itself. In: a release's files, a reader of YAML. Out:
nothing, or ComposeRejected. Never reads a file.

Compose reads the entry file and, from there on, the files named by `include`, `extends`, `env_file` and
`label_file`; all other files of a release are data, regardless of their content. Inside the release such a
file is the repository's text; outside it would be the server's settings and keys, put into a container's
environment. A path holds no variable, so that the text alone determines the file, and nothing is fetched from
elsewhere. The kernel enforces the same limit (`adapters/system/landlock.py`) if this check is bypassed.
https://docs.docker.com/reference/compose-file/
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.errors import ComposeRejected

_NO = ("false", "no", "off", "n")  # spellings of `required: false`
_MOST_FILES = 500  # distinct visits: a file counts again for another folder or service

Parse = Callable[[str], list[Any]]


def check_file_access(entry: str, files: Mapping[str, str], parse: Parse) -> None:
    """Raises ComposeRejected with the path of the offending Compose file; `parse` gives the documents of one
    file's text.
    """
    if entry not in files:
        raise ComposeRejected(f"the release has no Compose file {entry!r}")
    walk = _Walk(files, parse)
    waiting = [_Visit(entry, (posixpath.dirname(entry),))]
    seen = set(waiting)
    while waiting:
        fresh = [visit for visit in walk.named_by(waiting.pop()) if visit not in seen]
        seen.update(fresh)
        waiting += fresh
        if len(seen) > _MOST_FILES:
            raise ComposeRejected(f"{entry}: includes and extends more than {_MOST_FILES} files")


@dataclass(frozen=True)
class _Visit:
    """Visit of a Compose file by Compose: the folders that its paths may be relative to (versions of Compose
    differ for `project_directory`), and the service that is read from it; empty for all services.
    """

    path: str
    folders: tuple[str, ...]
    service: str = ""


@dataclass(frozen=True)
class _Path:
    """A path in a Compose file, with the key that names it. `needed`: Compose fails without the file."""

    key: str
    text: str
    needed: bool = True


class _Walk:
    def __init__(self, files: Mapping[str, str], parse: Parse) -> None:
        self._files = files
        self._parse = parse
        self._documents: dict[str, list[Any]] = {}

    def named_by(self, visit: _Visit) -> list[_Visit]:
        """Returns the Compose files that this one names. Raises ComposeRejected for any file that it must not
        read.
        """
        try:
            return [
                found
                for document in self._documents_of(visit.path)
                if isinstance(document, Mapping)
                for found in self._judge(document, visit)
            ]
        except ComposeRejected as error:
            raise ComposeRejected(f"{visit.path}: {error}", hint=error.hint) from None

    def _documents_of(self, path: str) -> list[Any]:
        if path not in self._documents:
            self._documents[path] = self._parse(self._files[path])
        return self._documents[path]

    def _judge(self, document: Mapping[str, Any], visit: _Visit) -> Iterator[_Visit]:
        if not visit.service:
            for include in _listed(document.get("include")):
                yield from self._included(include, visit)
        services = document.get("services")
        for name, service in services.items() if isinstance(services, Mapping) else ():
            if isinstance(service, Mapping) and visit.service in ("", name):
                for path in _read_by(service):
                    self._found(path, visit.folders)
                yield from self._extended(service.get("extends"), visit)

    def _included(self, include: Any, visit: _Visit) -> Iterator[_Visit]:
        table = include if isinstance(include, Mapping) else {"path": include}
        paths = [_local("include", text) for text in _texts(table.get("path"))]
        found = [self._found(path, visit.folders) for path in paths]
        folders = {posixpath.dirname(path) for path in found[:1]}
        for text in _texts(table.get("project_directory")):
            folders |= set(_inside(_Path("project_directory", text), visit.folders))
        for text in _texts(table.get("env_file")):
            self._found(_Path("env_file", text), visit.folders)
        yield from (_Visit(path, tuple(sorted(folders))) for path in found)

    def _extended(self, extends: Any, visit: _Visit) -> Iterator[_Visit]:
        table = extends if isinstance(extends, Mapping) else {"service": extends}
        service = str(table.get("service") or "")
        texts = list(_texts(table.get("file")))
        for text in texts:
            path = self._found(_local("extends", text), visit.folders)
            yield _Visit(path, (posixpath.dirname(path),), service)
        if not texts and service and visit.service:  # in the same file, of which only some services are read
            yield _Visit(visit.path, visit.folders, service)

    def _found(self, path: _Path, folders: tuple[str, ...]) -> str:
        """Returns the file's path in the release. Raises ComposeRejected if a needed file is missing."""
        places = _inside(path, folders)
        there = [place for place in places if place in self._files]
        if path.needed and not there:
            raise ComposeRejected(
                f"{path.key}: {path.text} is not among the files of the release",
                hint="commit the file as text; an `env_file` that may be missing has `required: false`, and"
                " values that only the server has reach a container by `environment: {NAME: ${NAME}}`",
            )
        return (there or list(places))[0]


def _read_by(service: Mapping[str, Any]) -> Iterator[_Path]:
    """Yields the paths of `env_file` and `label_file`. A service with a profile may never be started, so its
    files are never needed.
    """
    always = not service.get("profiles")
    for key in ("env_file", "label_file"):
        for one in _listed(service.get(key)):
            if isinstance(one, Mapping):
                needed = always and _is_needed(one.get("required"))
                yield from (_Path(key, text, needed) for text in _texts(one.get("path")))
            else:
                yield from (_Path(key, text, always) for text in _texts(one))


def _is_needed(required: Any) -> bool:
    text = str(required or "").lower()
    return text not in _NO and "$" not in text


def _local(key: str, text: str) -> _Path:
    """Returns a path of the repository. Raises ComposeRejected for a Git or OCI reference, told from a path
    by Compose's own rule.
    """
    if "$" not in text and (":" in text or "@" in text or text.startswith("github.com/")):
        raise ComposeRejected(
            f"{key}: {text} is not a file of the repository", hint="put a copy of it into the repository"
        )
    return _Path(key, text)


def _inside(path: _Path, folders: tuple[str, ...]) -> list[str]:
    """Returns the path from the repository's root, for each folder that it may start from. Raises
    ComposeRejected for a variable in it or a path outside the repository.
    """
    if "$" in path.text:
        raise ComposeRejected(
            f"{path.key}: {path.text} has a variable in its path",
            hint="write the path out: which files Compose reads must not depend on a value",
        )
    places = [posixpath.normpath(posixpath.join(folder, path.text)) for folder in folders]
    if path.text.startswith(("/", "~")) or any(place.split("/")[0] == ".." for place in places):
        raise ComposeRejected(
            f"{path.key}: {path.text} is outside the repository",
            hint="put server-side values into the environment's variables file",
        )
    return places


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(value: Any) -> Iterator[str]:
    yield from (one for one in _listed(value) if isinstance(one, str) and one)
