"""Peers of a service and the ports by which they reach it. In: services of a rendered Compose model, texts of
the release's files. Out: `Reach`. Never asks a container.

A Compose file need not declare the port of a service that only other services use: it stands where these name
it (`API_URL: http://api:8000`, `proxy_pass http://api:8000`), or where its own health check asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.compose_model import dependencies_of, is_checked, networks_of

Table = Mapping[str, Any]

_LAST_PORT = 65_535
_DEFAULTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# Programs that a check starts, with the port that they ask where none is given.
_PROGRAMS = {"pg_isready": 5432, "redis-cli": 6379, "mysqladmin": 3306, "mongosh": 27017}
_LOCAL = re.compile(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])['\"]?[\s,:]+['\"]?([0-9]{1,5})(?![0-9])")
_OPTION = re.compile(r"(?:^|\s)(?:-p|--port)[\s=]?([0-9]{1,5})(?![0-9])")
_ADDRESS = re.compile(
    r"(?:HOST|HOSTNAME|ADDR|ADDRESS|SERVER|UPSTREAM|BACKEND|ENDPOINT|TARGET|URL|URI)S?$", re.IGNORECASE
)
_VARIABLE = re.compile(r"\$+\{?([A-Za-z_][A-Za-z0-9_]*)(?::?-[^}]*)?\}?")


@dataclass(frozen=True)
class Reach:
    """Whether a peer may reach a service, and the ports that peers are seen to use."""

    named: bool = False
    ports: frozenset[int] = frozenset()


def reach_of(name: str, services: Mapping[str, Table], texts: Iterable[str]) -> Reach:
    """`texts`: files of the release, but the Compose file."""
    own = services[name]
    peers = {other: table for other, table in services.items() if other != name and _meet(own, table)}
    links = [link for table in peers.values() for link in table.get("links") or ()]
    names = _names(name, own, links)
    forms = _Forms(names)
    ports: set[int] = set()
    named = any(name in dependencies_of(table) for table in peers.values())
    named = named or any(str(link).partition(":")[0] == name for link in links)
    for text in (*(word for table in peers.values() for word in _words(table)), *texts):
        ports |= set(forms.ports_in(text))
        named = named or forms.is_named_in(text)
    for table in peers.values():
        found = set(_split_addresses(table, names))
        named, ports = named or bool(found), ports | (found - {0})
    return Reach(named or bool(ports), frozenset(ports))


def ports_asked(service: Table) -> frozenset[int]:
    """Ports of the container itself that its health check's command shows."""
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
    """How text names a host: in an address, or as the whole of a value."""

    def __init__(self, names: Iterable[str]) -> None:
        any_name = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
        before = r"(?:(?<=//)|(?<=@)|(?<![\w./@-]))"  # no image of a registry: acme/api:8000
        self._with_port = re.compile(rf"{before}(?:{any_name}):([0-9]{{1,5}})(?![\w.-])")
        self._as_url = re.compile(rf"(?<!\w)([a-z]{{2,5}})://(?:[^\s/@]{{0,200}}@)?(?:{any_name})(?![\w.:-])")
        self._bare = re.compile(rf"(?:_pass|\bserver|\breverse_proxy|\bhost=|@)\s*(?:{any_name})(?![\w.-])")

    def ports_in(self, text: str) -> Iterator[int]:
        yield from (port for one in self._with_port.findall(text) if 0 < (port := int(one)) <= _LAST_PORT)
        yield from (_DEFAULTS[scheme] for scheme in self._as_url.findall(text) if scheme in _DEFAULTS)

    def is_named_in(self, text: str) -> bool:
        return bool(self._bare.search(text) or self._as_url.search(text))


def _names(name: str, own: Table, links: Iterable[Any]) -> set[str]:
    given = [str(own.get(key) or "") for key in ("hostname", "container_name")]
    for settings in networks_of(own).values():
        given += map(str, settings.get("aliases") or ())
    linked = [str(link).partition(":") for link in links]
    return {name, *filter(None, given), *(alias for of, _, alias in linked if of == name and alias)}


def _meet(one: Table, other: Table) -> bool:
    """Whether the two share a network, or one of them has somebody else's."""
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
    """`API_HOST: api` beside `API_PORT: 8000`; 0 where the port stands nowhere."""
    table = _environment(service)
    for key, value in table.items():
        if str(value) in names and _ADDRESS.search(key):
            port = str(table.get(_ADDRESS.sub("PORT", key)) or "")
            yield int(port) if port.isdigit() and 0 < int(port) <= _LAST_PORT else 0
