"""Completing a release. In: a rendered Compose model and what the request brought. Out: which image each
service still lacks.

Nothing here asks a registry; it says what to ask for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.core.built_images import built_repositories, makers_of
from deployer.core.errors import ReleaseIncomplete
from deployer.core.images import Image, parse_image, revision_tag, split_tag

_NAMED_ERROR = re.compile(
    r"\s*(?:uncaught )?[\w.]*(?:error|exception|fatal|panic)\b[^:]{0,20}:", re.IGNORECASE
)
_SHORTEST, _SHORTEST_NAMED = 6, 3  # shorter values stand in too many innocent words
_USER_INFO = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
_RANDOM = 16
_RANDOM_LOOKING = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_+/=.-]+")
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASS|PWD|KEY|CREDENTIAL|PRIVATE|DSN|SALT|COOKIE", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """One service's image: known by digest, or a tag to be looked up. `makers`: the services whose build it
    may be, none where it is not from the app's own source.
    """

    service: str
    image: Image | None
    repository: str = ""
    tag: str = ""
    makers: tuple[str, ...] = ()

    @property
    def built(self) -> bool:
        """Whether it is built from the app's own source."""
        return bool(self.makers)


def wanted_images(
    rendered: Mapping[str, Any],
    given: Mapping[str, Image],
    *,
    revision: str,
    registry: str,
    source: str,
    compose: str,
) -> list[Wanted]:
    """What every service of the model should run. A given digest wins; a built service is looked up by its
    revision. `compose`: the Compose file's path in the repository.
    """
    tables: Mapping[str, Mapping[str, Any]] = rendered.get("services") or {}
    repositories = built_repositories(tables, registry=registry, source=source, compose=compose)
    makers = makers_of(tables, repositories)
    wanted = []
    for name, table in sorted(tables.items()):
        image = next((given[one] for one in (name, *makers.get(name, ())) if one in given), None)
        if name in makers:
            repository = "" if image else repositories[makers[name][0]]
            tag = "" if image else revision_tag(revision)
            wanted.append(Wanted(name, image, repository, tag, makers[name]))
        else:
            wanted.append(Wanted(name, image) if image else _of_other(name, table))
    return wanted


def _of_other(name: str, table: Mapping[str, Any]) -> Wanted:
    reference = str(table.get("image") or "")
    if "@" in reference:
        return Wanted(name, parse_image(reference))
    if not reference:
        raise ReleaseIncomplete(f"service {name} names neither an image nor a build")
    repository, tag = split_tag(reference)
    return Wanted(name, None, repository, tag or "latest")


def redact(text: str, variables: Mapping[str, str]) -> str:
    """Text from outside without any variable's value that is long enough to be told apart from a word."""
    long = [value for value in variables.values() if len(value) >= _SHORTEST]
    return _hide(text, [*long, *_passwords(variables)])


def redact_secrets(text: str, variables: Mapping[str, str]) -> str:
    """Our own text without the values that look like secrets; hosts, ports and names stay readable."""
    secrets = [value for name, value in variables.items() if _is_secret(name, value)]
    return _hide(text, [*secrets, *_passwords(variables)])


def _passwords(variables: Mapping[str, str]) -> list[str]:
    """Those inside addresses, as in `postgres://user:password@host`."""
    return [
        found
        for value in variables.values()
        for found in _USER_INFO.findall(value)
        if len(found) >= _SHORTEST_NAMED
    ]


def _hide(text: str, values: Iterable[str]) -> str:
    for value in sorted(values, key=len, reverse=True):
        # Whatever its case: what reads a file may have changed it.
        text = re.sub(re.escape(value), "[redacted]", text, flags=re.IGNORECASE)
    return text


def _is_secret(name: str, value: str) -> bool:
    if len(value) < _SHORTEST_NAMED:
        return False
    random = len(value) >= _RANDOM and _RANDOM_LOOKING.fullmatch(value) is not None
    return bool(_SECRET_NAME.search(name)) or ("://" in value and "@" in value) or random


def telling_line(lines: Sequence[str]) -> str:
    """The line of a log that says best why its program ended: `SomeError: …` before any line with an error,
    else the last.
    """
    named = [line for line in lines if _NAMED_ERROR.match(line)]
    loose = [line for line in lines if "error" in line.lower()]
    return (named or loose or list(lines[-1:]) or [""])[0]
