"""YAML: what Compose prints and what people wrote. In: text. Out: plain values; nothing unfolds into far more
than its text.

What people wrote is read only to see which files it names, so every scalar stays the text it is, and tags
mean nothing. It is measured by its events first: aliases share what they stand for, but whoever walks or
merges it sees it once for each.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from deployer.core.errors import ComposeRejected

_MOST_REPEATED = 50_000  # values that aliases stand for, all together
_DEEPEST = 100
_NOTHING, _ENDLESS = (0, 0), (_MOST_REPEATED, 0)  # values, levels
_TAG = "tag:yaml.org,2002:"
_READS = re.compile(r"""(?:env_file|label_file|extends|include)["']?\s*:""")


def parse_printed(text: str) -> Any:
    """What `docker compose config` printed."""
    return yaml.load(text, Loader=_Printed)


def parse_written(text: str) -> list[Any]:
    """The documents of one file; none for what is not YAML, such as a script. Raises ComposeRejected for what
    would unfold, and for what Compose may understand and we do not.
    """
    try:
        _measure(text)
        return list(yaml.load_all(text, Loader=_Written))
    except yaml.constructor.ConstructorError as error:
        raise ComposeRejected(f"is YAML that cannot be read: {error.problem}") from None
    except yaml.YAMLError:
        if _READS.search(text):
            raise ComposeRejected(
                "names files that Compose would read, but is not valid YAML", hint="correct the file"
            ) from None
        return []


def _measure(text: str) -> None:
    """Raises ComposeRejected for nesting that is too deep and aliases that stand for too much."""
    sizes: dict[str, tuple[int, int]] = {}  # anchor → values in it with its aliases unfolded, and levels
    nodes: list[tuple[str | None, int, int]] = [(None, 0, 0)]  # the open ones: anchor, values, levels
    repeated = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        size, levels = _NOTHING
        if isinstance(event, yaml.CollectionStartEvent):
            nodes.append((event.anchor, 1, 1))
        elif isinstance(event, yaml.AliasEvent):
            size, levels = sizes.get(str(event.anchor), _ENDLESS)  # one that is open still stands in itself
            repeated += size
        elif isinstance(event, yaml.ScalarEvent):
            size, levels = _keep(sizes, event.anchor, 1, 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, levels = _keep(sizes, *nodes.pop())
        anchor, within, deep = nodes[-1]
        nodes[-1] = (anchor, within + size, max(deep, levels + 1))
        if repeated >= _MOST_REPEATED or len(nodes) + levels > _DEEPEST:
            raise ComposeRejected("unfolds into far more than it says, or is nested too deeply")


def _keep(sizes: dict[str, tuple[int, int]], anchor: str | None, size: int, levels: int) -> tuple[int, int]:
    if anchor is not None:
        sizes[anchor] = (size, levels)
    return size, levels


class _Printed(yaml.CSafeLoader):
    """What Compose prints is plain: `=` and `<<` are words in it, not YAML 1.1's values and merges."""


_Printed.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0].rpartition(":")[2] not in ("value", "merge")]
    for letter, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class _Written(yaml.CSafeLoader):
    """Texts, lists and tables, merges done. A date or number that is none must not hide the rest of a file
    that Compose reads without a word.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012
        letter: [pair for pair in pairs if pair[0] in (f"{_TAG}null", f"{_TAG}merge")]
        for letter, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {f"{_TAG}null": yaml.CSafeLoader.construct_yaml_null}  # noqa: RUF012


def _plain(loader: yaml.CSafeLoader, node: yaml.Node) -> Any:
    """Whatever the tag says, Compose's own (`!reset`, `!override`) or Python's."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_Written.yaml_constructors[None] = _plain
