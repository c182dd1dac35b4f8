"""Selection of the repository files that a Compose model needs. In: a Compose file's text, paths. Out: a
`Bundle`.

The runner has no YAML parser, so words of the text are looked up among the repository's regular files: a file
too many is harmless, a missing file is not. Compose reads a `.env` beside its files without a word in them.
Never a folder or a path outside the repository.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Container, Iterator

from deployer.core.errors import ReleaseIncomplete
from deployer.core.model import Bundle
from deployer.core.names import is_bundle_path
from deployer.core.requests.deploy_request import MAX_FILES
from deployer.core.variables.committed import VARIABLES_FILES

_COMMENT = re.compile(r"(?:^|\s)#")
_DOCKERFILE = re.compile(r"""["']?\bdockerfile["']?\s*:\s*(?:"[^"]*"|'[^']*'|[^\s,}]+)""")
_QUOTED = re.compile(r'"([^"]+)"|\'([^\']+)\'')
_SCALAR = re.compile(r"^\s*(?:-\s+)*(?:[\w.-]+\s*:\s+)?(.+?)\s*$")
_WORD = re.compile(r"""[^\s"',\[\]{}]+""")
_DEFAULT = re.compile(r"\$\{\w+:?-([^}]*)\}")


def named_files(text: str, exists: Container[str], *, path: str) -> frozenset[str]:
    """Returns the existing files that the Compose file at `path` names, relative to the repository's root."""
    folder = posixpath.dirname(path)
    inside = (_inside(folder, word) for word in _candidates(text))
    return frozenset(file for file in inside if file and file != path and file in exists)


def collect_bundle(entry: str, exists: Container[str], read: Callable[[str], str | None]) -> Bundle:
    """Returns the Compose file, the files that it names, and those named by included Compose files. Raises
    ReleaseIncomplete.

    `read` gives None for a file that is not text: a word that happens to be a file's name must not stop a
    deploy.
    """
    files: dict[str, str] = {}
    waiting = [entry]
    seen = {entry}
    while waiting:
        path = waiting.pop()
        text = read(path) if path in exists else None
        if text is None:
            continue
        files[path] = text
        if path == entry or path.endswith((".yaml", ".yml")):
            unnamed = {posixpath.join(posixpath.dirname(path), name) for name in VARIABLES_FILES}
            fresh = (named_files(text, exists, path=path) | {one for one in unnamed if one in exists}) - seen
            seen |= fresh
            waiting += sorted(fresh)
    return _checked(Bundle(entry, files))


def _checked(bundle: Bundle) -> Bundle:
    if bundle.entry not in bundle.files:
        raise ReleaseIncomplete(
            f"the repository has no Compose file {bundle.entry!r}", hint="is it committed, as text?"
        )
    if len(bundle.files) > MAX_FILES:
        raise ReleaseIncomplete(f"{bundle.entry} names more than {MAX_FILES} files of the repository")
    return bundle


def _inside(folder: str, word: str) -> str:
    joined = posixpath.normpath(posixpath.join(folder, word))
    return joined if is_bundle_path(joined) else ""


def _candidates(text: str) -> Iterator[str]:
    for line in text.splitlines():
        code = _DOCKERFILE.sub("", _without_comment(line))
        plain = _DEFAULT.sub(r"\1", code)
        for value in {*_values(code), *_values(plain)}:
            # `source:target:mode` of a short volume; a key in a flow mapping ends with the colon.
            yield from {value, value.partition(":")[0], value.rpartition("=")[2]}


def _values(line: str) -> Iterator[str]:
    yield from _WORD.findall(line)
    yield from (double or single for double, single in _QUOTED.findall(line))
    scalar = _SCALAR.match(line)
    if scalar:
        yield scalar.group(1).strip("\"'")


def _without_comment(line: str) -> str:
    for mark in _COMMENT.finditer(line):
        before = line[: mark.start()]
        if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
            return before
    return line
