"""YAML of Compose's output and of users' files. In: text. Out: plain values; no text unfolds into far more
than its size.

Users' files are parsed only to find the files that they name, so every scalar stays text. They are built from
the parser's events, because a construct that Compose reads differently could hide a name: merges, anchors and
duplicate keys mean here the same as in Compose, and other constructs are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from deployer.core.errors import ComposeRejected

_MOST_EVENTS = 100_000  # of all files of a release; a service takes about a hundred
_MOST_REPEATED = 50_000  # values that aliases stand for, all together
_DEEPEST = 100
_TAG = "tag:yaml.org,2002:"
_TAGS = {
    "!reset",
    "!override",
    *(_TAG + name for name in ("str", "int", "float", "bool", "null", "map", "seq")),
}
_NULLS = ("", "~", "null", "Null", "NULL")
_WORDS = "Compose files may use !reset, !override and YAML's plain types (!!str, !!int, …)"


def parse_printed(text: str) -> Any:
    """Parses the output of `docker compose config`."""
    return yaml.load(text, Loader=_Printed)


class _Printed(yaml.CSafeLoader):
    """Loader of Compose's output: `=`, `<<` and dates are text in it, not YAML 1.1's values, merges and
    times, and so is a number that cannot be parsed.
    """


_Printed.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0].rpartition(":")[2] not in ("value", "merge", "timestamp")]
    for letter, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _number(loader: _Printed, node: yaml.ScalarNode) -> int | float | str:
    read = loader.construct_yaml_int if node.tag.endswith(":int") else loader.construct_yaml_float
    try:
        found: int | float = read(node)
    except ValueError:
        return str(loader.construct_scalar(node))
    return found


_Printed.add_constructor("tag:yaml.org,2002:int", _number)
_Printed.add_constructor("tag:yaml.org,2002:float", _number)


class WrittenFiles:
    """Parser of one release's files, which share one limit."""

    def __init__(self) -> None:
        self.events = 0  # read so far

    def parse(self, text: str) -> list[Any]:
        """Returns the documents of one file. Raises ComposeRejected for a text that is not YAML, that would
        unfold, or that Compose may read differently.
        """
        reader = _Reader(self._counted(text))
        try:
            return list(reader.documents())
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f" in line {mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or "unreadable characters"
            raise ComposeRejected(
                f"is not valid YAML: {problem}{place}", hint="`docker compose config` may show more"
            ) from None

    def _counted(self, text: str) -> Iterator[Any]:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            self.events += 1
            if self.events > _MOST_EVENTS:
                raise ComposeRejected(
                    f"has, with the files before it, more than {_MOST_EVENTS} keys and values for Compose",
                    hint="data belongs into files that are mounted",
                )
            yield event


class _Node(NamedTuple):
    """A value, the number of values in it with its aliases unfolded, and its levels."""

    value: Any
    size: int
    levels: int


class _Reader:
    """Reader of one file's events as values."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, _Node | None] = {}  # None: still open
        self._repeated = 0

    def documents(self) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                yield self._node(next(self._events), 0).value

    def _node(self, event: Any, depth: int) -> _Node:
        aliased = isinstance(event, yaml.AliasEvent)
        node = self._aliased(event) if aliased else self._anchored(event, depth)
        if depth + node.levels > _DEEPEST:
            raise _refused("is nested too deeply", event)
        return node

    def _aliased(self, event: yaml.AliasEvent) -> _Node:
        node = self._anchors.get(str(event.anchor))
        if node is None:
            raise _refused(f"*{event.anchor} stands in itself or for nothing", event)
        self._repeated += node.size
        if self._repeated > _MOST_REPEATED:
            raise _refused("unfolds into far more than it says", event)
        return node

    def _anchored(self, event: Any, depth: int) -> _Node:
        if event.tag is not None and event.tag not in _TAGS:
            raise ComposeRejected(f"has a tag {event.tag} in line {_line(event)}", hint=_WORDS)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(_scalar(event), 1, 1)
        elif depth >= _DEEPEST:
            raise _refused("is nested too deeply", event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(depth + 1)
        else:
            node = self._mapping(depth + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _sequence(self, depth: int) -> _Node:
        nodes: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, depth))
        return _parent([node.value for node in nodes], nodes)

    def _mapping(self, depth: int) -> _Node:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        nodes: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, value = self._node(event, depth), self._node(next(self._events), depth)
            nodes += (key, value)
            name = _key(event, key.value)
            if name in own:
                raise _refused(f"has the key {name!r} twice in one table", event)
            own[name] = value.value
            if name == "<<" and _is_merge(event):
                merged = _merged(value.value, event)
        return _parent({**merged, **own}, nodes)


def _parent(value: Any, nodes: list[_Node]) -> _Node:
    return _Node(
        value, 1 + sum(node.size for node in nodes), 1 + max((node.levels for node in nodes), default=0)
    )


def _scalar(event: yaml.ScalarEvent) -> str | None:
    plain = event.tag == f"{_TAG}null" or (event.tag is None and event.implicit[0])
    return None if plain and event.value in _NULLS else str(event.value)


def _key(event: Any, value: Any) -> str:
    """Returns a key. Compose takes only text as a key, also by an alias. Raises ComposeRejected."""
    if isinstance(value, str):
        return value
    raise _refused("has a key that is not a text", event)


def _is_merge(event: Any) -> bool:
    """True for a plain `<<` without quotes, as in go-yaml."""
    return isinstance(event, yaml.ScalarEvent) and event.tag is None and bool(event.implicit[0])


def _merged(value: Any, event: Any) -> dict[str, Any]:
    """Merges several tables: the earlier one wins."""
    tables = value if isinstance(value, list) else [value]
    if not all(isinstance(table, dict) for table in tables):
        raise _refused("merges something that is no table", event)
    return {name: inner for table in reversed(tables) for name, inner in table.items()}


def _refused(problem: str, event: Any) -> ComposeRejected:
    return ComposeRejected(f"{problem} (line {_line(event)})", hint="write it out")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
