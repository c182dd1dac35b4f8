"""Options of a container's log. In: driver and options, with the labels and variables that the options may
name. Out: the grants that would allow them.

The engine's own process writes the log, outside the container's limits, so every option has a range or a
form.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deployer.core.compose_labels import COMPOSE_LABELS
from deployer.core.permissions.memory import size_of

# These drivers write to the engine's own folder or nowhere; every other one makes the engine, which is root
# in the host's network, send chosen bytes to a chosen address.
_LOG_DRIVERS = ("", "json-file", "local", "none")
_PLAIN_TAG = re.compile(
    r"(?:[^{}]|\{\{ *\.(?:ID|FullID|Name|ImageName|ImageID|ImageFullID|DaemonName) *\}\})*"
)
_MOST_BUFFERED = 64 * 2**20  # bytes of the engine's own memory
_MOST_FILES = 100
_SMALLEST_FILE = 64 * 2**10  # bytes
_LONGEST_OPTION, _LONGEST_NUMBER = 1_000, 9  # characters
_MOST_ATTRIBUTES = 1_024  # bytes of labels, variables and tag that go into every line


def log_driver(
    driver: str,
    options: Mapping[str, Any],
    labels: Mapping[str, object],
    variables: Mapping[str, object],
) -> Iterator[str]:
    """Yields grants for log drivers that send over the network, for their options, and for values with an
    unbounded cost for the engine: many or small files, templates, buffers, long texts in every line.
    """
    if driver not in _LOG_DRIVERS:
        yield f"logging:{driver}"
        return
    given = {str(name): str(value) for name, value in options.items()}
    wrong = {name for name, value in given.items() if name not in _OPTIONS or not _OPTIONS[name](value)}
    long = {name for name, size in _attributes(given, labels, variables) if size > _MOST_ATTRIBUTES}
    yield from (f"logging:{driver or 'default'}.{name}" for name in sorted(wrong | long))


def _attributes(
    options: Mapping[str, str], labels: Mapping[str, object], variables: Mapping[str, object]
) -> Iterator[tuple[str, int]]:
    """Yields option and the bytes that it adds to every line. A regular expression is not evaluated here: it
    counts as a match of all names except Compose's own labels.
    """
    for name, table in (("labels", labels), ("env", variables)):
        chosen = set(options.get(name, "").split(","))
        yield name, sum(len(f"{key}{value}") for key, value in table.items() if key in chosen)
        own = (f"{key}{value}" for key, value in table.items() if not key.startswith(COMPOSE_LABELS))
        yield f"{name}-regex", sum(map(len, own)) if f"{name}-regex" in options else 0


def _is_plain_tag(text: str) -> bool:
    return len(text) <= _MOST_ATTRIBUTES and _PLAIN_TAG.fullmatch(text) is not None


def _is_number_of_files(text: str) -> bool:
    """True for a bounded number: the engine renames all files of a log for each new one."""
    return len(text) <= _LONGEST_NUMBER and text.isascii() and text.isdecimal() and int(text) <= _MOST_FILES


def _is_size_of_file(text: str) -> bool:
    """True for a size that does not rotate files too often; -1 is no limit."""
    return text == "-1" or _SMALLEST_FILE <= size_of(text) < sys.maxsize


def _is_size_of_buffer(text: str) -> bool:
    """True for a bounded size: the buffer is in the engine's own memory."""
    return size_of(text) <= _MOST_BUFFERED


def _is_text(text: str) -> bool:
    return len(text) <= _LONGEST_OPTION


# Option of the drivers → check of its value.
_OPTIONS: Mapping[str, Callable[[str], bool]] = {
    "max-size": _is_size_of_file,
    "max-file": _is_number_of_files,
    "compress": _is_text,
    "mode": _is_text,
    "max-buffer-size": _is_size_of_buffer,
    "labels": _is_text,
    "labels-regex": _is_text,
    "env": _is_text,
    "env-regex": _is_text,
    "tag": _is_plain_tag,
    "cache-disabled": _is_text,
    "cache-max-size": _is_size_of_file,
    "cache-max-file": _is_number_of_files,
    "cache-compress": _is_text,
}
