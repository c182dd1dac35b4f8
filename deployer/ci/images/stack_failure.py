"""Cause of a test's stack that does not run. In: the failed containers with their last output, Compose's
words. Out: a message with the line that names the cause, and its remedy.

The output is untrusted text: it is quoted, and never decides more than a hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST = 300
_TELLING = re.compile(
    r"(?:\b\w*(?:error|exception|panic|fatal|denied|refused)\b|not set|not found|missing|required|undefined)",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_KILLED = (137, -9)
_ONE_SHOT = (
    "a service may end by itself only as a depends_on with service_completed_successfully of another one"
)
# Words of Compose and of the engine → remedy. The first that fits counts.
_REMEDIES: Sequence[tuple[str, str]] = (
    (
        r"bind source path does not exist|no such file or directory.*(?:secret|config)|invalid mount config",
        "the file is not in the checkout: write the file in an earlier step, or commit one for the test",
    ),
    (
        r"executable file not found|no such file or directory: unknown|OCI runtime create failed"
        r"|unable to start container process",
        "the image has no such program, or may not run it: look at command:, entrypoint: and the Dockerfile",
    ),
    (r"exec format error", "the image is built for another kind of processor: look at platform:"),
    (
        r"pull access denied|manifest unknown|manifest for .* not found|repository does not exist"
        r"|unauthorized|not found: manifest|failed to resolve reference|not found$",
        "is the name right, and is the image in its registry? For a private one: the inputs registry-username"
        " and registry-password",
    ),
    (
        r"non-overlapping IPv4 address pool|Pool overlaps",
        "the runner has too many networks: `docker network prune` removes those that nothing uses",
    ),
    (r"no space left on device", "the runner's disk is full"),
)


@dataclass(frozen=True)
class Failure:
    """Container that is not well: its condition, its exit code if it ended, and its last output or
    that of its health check.
    """

    service: str
    condition: str
    code: int | None
    printed: str


@dataclass(frozen=True)
class Cause:
    """Message and hint of the first cause."""

    message: str
    hint: str


def find_cause(failures: Sequence[Failure], compose: str, services: Mapping[str, Mapping[str, Any]]) -> Cause:
    """Returns the cause of the stack's failure. `compose`: the end of Compose's output; `services`: the
    tested services, for the variables that they have.
    """
    # A container that never started says nothing itself; Compose quotes the engine.
    if remedy := _remedy(last := _last_line(compose)):
        return Cause(last, remedy)
    if not failures:
        return Cause(last, "the log above has all of Compose's words")
    told = ", ".join(_sentence(failure) for failure in failures)
    first = _first(failures)
    return Cause(told, _hint(first, services.get(first.service) or {}))


def _first(failures: Sequence[Failure]) -> Failure:
    """Returns the failure that explains the others: one that ended with an error, else an unhealthy one."""
    return min(failures, key=lambda one: (not one.code, one.code is None, one.condition != "unhealthy"))


def _sentence(failure: Failure) -> str:
    line = telling_line(failure.printed)
    return f"{failure.service} {_verb(failure)}{failure.condition}" + (f": {line}" if line else "")


def _verb(failure: Failure) -> str:
    return "" if failure.code is not None else "is "


def _hint(failure: Failure, service: Mapping[str, Any]) -> str:
    if failure.code == 0:
        return _ONE_SHOT
    if failure.code in _KILLED:
        return "it was killed: does it need more memory than the runner has?"
    if remedy := _remedy(telling_line(failure.printed)):
        return remedy
    if names := list(_unset(failure.printed, service)):
        return _give(names)
    if failure.code is None:
        return "its health check decides: what the check printed is above; start_period allows a slow start"
    return (
        "its log is above; a variable that only the server has needs a value for the test, by the step's env:"
    )


def _unset(printed: str, service: Mapping[str, Any]) -> Iterator[str]:
    """Yields the names in the output's telling line that could be variables and have no value in the test."""
    environment = service.get("environment") or {}
    for name in dict.fromkeys(_NAME.findall(telling_line(printed))):
        if not environment.get(name):
            yield name


def _give(names: Sequence[str]) -> str:
    name = names[0]
    return (
        f"{name} has no value in the test. If only the server has it, write"
        f" `environment: {{{name}: ${{{name}:-}}}}` in the Compose file, and give the test a value by"
        f" `env: {{{name}: …}}` of the step"
    )


def telling_line(printed: str) -> str:
    """Returns the last line that speaks of an error, else the last line, cut to a sentence's length."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines or [""])[-1][:_LONGEST]


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _remedy(line: str) -> str:
    return next((remedy for words, remedy in _REMEDIES if re.search(words, line)), "")
