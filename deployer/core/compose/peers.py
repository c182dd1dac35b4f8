"""Peers of a service and the ports by which they reach it. In: services of a rendered Compose model, texts of
the release's files. Out: `Reach`. Never asks a container.

A Compose file need not declare the port of a service that only other services use: the port is found where
these name the service (`API_URL: http://api:8000`, `proxy_pass http://api:8000`), or in the request of its
own health check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from deployer.core.compose.services import dependencies_of, is_checked, networks_of

Table = Mapping[str, Any]

_LAST_PORT = 65_535
_DEFAULTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PLACES = 2000  # matches of one name in one text: a bound for a file that repeats it
_HEAD = 240  # characters before a name that are searched
_PART_OF_A_NAME = re.compile(r"(?:[\w.-]|(?<!/)/)$")  # as in acme/api:8000, an image of a registry
_LEADS = ("//", "@", "_pass", "server", "reverse_proxy", "host=")
_SCHEME = re.compile(r"(?<!\w)([a-z]{2,5})://(?:[^\s/@]{0,200}@)?$")
# Programs that a health check starts, with their default port.
_PROGRAMS = {"pg_isready": 5432, "redis-cli": 6379, "mysqladmin": 3306, "mongosh": 27017}
_LOCAL = re.compile(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])['\"]?[\s,:]+['\"]?([0-9]{1,5})(?![0-9])")
_OPTION = re.compile(r"(?:^|\s)(?:-p|--port)[\s=]?([0-9]{1,5})(?![0-9])")
_ADDRESS = re.compile(
    r"(?:HOST|HOSTNAME|ADDR|ADDRESS|SERVER|UPSTREAM|BACKEND|ENDPOINT|TARGET|URL|URI)S?$", re.IGNORECASE
)
_VARIABLE = re.compile(r"\$+\{?([A-Za-z_][A-Za-z0-9_]*)(?::?-[^}]*)?\}?")


@dataclass(frozen=True)
class Reach:
    """Reachability of a service: `named` if a peer may reach it, and the ports that peers are seen to use."""

    named: bool = False
    ports: frozenset[int] = frozenset()


def reach_of(name: str, services: Mapping[str, Table], texts: Iterable[str]) -> Reach:
    """Returns a service's reach. `texts`: files of the release, without the Compose file."""
    own = services[name]
    peers = {other: table for other, table in services.items() if other != name and _meet(own, table)}
    links = [link for table in peers.values() for link in table.get("links") or ()]
    names = _names(name, own, links)
    forms = _Forms(names)
    named = any(name in dependencies_of(table) for table in peers.values())
    named = named or any(str(link).partition(":")[0] == name for link in links)
    words = (word for table in peers.values() for word in _words(table))
    found = {port for text in (*words, *texts) for port in forms.found_in(text)}
    found |= {port for table in peers.values() for port in _split_addresses(table, names)}
    return Reach(named or bool(found), frozenset(found - {0}))


def ports_asked(service: Table) -> frozenset[int]:
    """Returns the container's own ports that its health check's command shows."""
    if not is_checked(service):
        return frozenset()
    line = _line(service["healthcheck"]["test"])
    values = {key: str(value) for key, value in _environment(service).items()}
    line = _VARIABLE.sub(lambda found: values.get(found[1], found[0]), line)
    found = [int(text) for text in _LOCAL.findall(line)]
    for program, usual in _PROGRAMS.items():
        if re.search(rf"(?<![\w-]){program}(?![\w-])", line):
            found += [int(text) for text in _OPTION.findall(line)] or [usual]
    return frozenset(port for port in found if 0 < port <= _LAST_PORT)


class _Forms:
    """Search for a host's name in text: in an address, or after a word that takes a host. The name is
    searched first and the text before it is judged only on a match, so that long files cost little.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = [re.compile(rf"{re.escape(name)}(?::([0-9]{{1,5}}))?(?![\w.:-])") for name in names]

    def found_in(self, text: str) -> Iterator[int]:
        """Yields the port of each mention of the host, 0 where the text gives none."""
        for name in self._names:
            for found in islice(name.finditer(text), _PLACES):
                head = text[max(0, found.start() - _HEAD) : found.start()]
                if found[1]:
                    if not _PART_OF_A_NAME.search(head) and 0 < int(found[1]) <= _LAST_PORT:
                        yield int(found[1])
                elif head.rstrip().endswith(_LEADS):
                    scheme = _SCHEME.search(head) if "://" in head else None
                    if scheme or not head.endswith("/"):
                        yield _DEFAULTS.get(scheme[1], 0) if scheme else 0


def _names(name: str, own: Table, links: Iterable[Any]) -> set[str]:
    given = [str(own.get(key) or "") for key in ("hostname", "container_name")]
    for settings in networks_of(own).values():
        given += map(str, settings.get("aliases") or ())
    linked = [str(link).partition(":") for link in links]
    return {name, *filter(None, given), *(alias for of, _, alias in linked if of == name and alias)}


def _meet(one: Table, other: Table) -> bool:
    """True if the two services share a network, or one of them uses the host's or another container's."""
    if one.get("network_mode") or other.get("network_mode"):
        return True
    return not networks_of(one).keys().isdisjoint(networks_of(other))


def _words(service: Table) -> Iterator[str]:
    yield from map(str, _environment(service).values())
    for key in ("command", "entrypoint"):
        yield _line(service.get(key) or "")
    if is_checked(service):
        yield _line(service["healthcheck"]["test"])


def _line(words: Any) -> str:
    return words if isinstance(words, str) else " ".join(map(str, words))


def _environment(service: Table) -> dict[str, Any]:
    return {key: value for key, value in (service.get("environment") or {}).items() if value is not None}


def _split_addresses(service: Table, names: set[str]) -> Iterator[int]:
    """Yields the port of an address in two variables, `API_HOST: api` beside `API_PORT: 8000`; 0 where no
    variable gives the port.
    """
    table = _environment(service)
    for key, value in table.items():
        if str(value) in names and _ADDRESS.search(key):
            port = str(table.get(_ADDRESS.sub("PORT", key)) or "")
            yield int(port) if port.isdigit() and 0 < int(port) <= _LAST_PORT else 0
