"""Rules for branches and tags. In: the lines of the input. Out: `Rule`s, the first that fits a ref.

    main: deploy production
    release/*: deploy staging
    tags v*: build
    schedule: deploy production

`*` stands for anything but `/`, `**` for anything. A ref that no line fits is tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deployer.core.errors import ConfigError
from deployer.core.names import NAME
from deployer.core.refs import HEADS, TAGS, matches

VERSIONS = "v*"  # tags that are pushed by default
_SCHEDULE = "schedule"
_PATTERN = re.compile(r"(?!refs/)[^\s~^:?\[\\\x00-\x1f]+")
_LINE = re.compile(r"(?:(?P<tags>tags)\s+)?(?P<pattern>\S+)\s*:\s*(?P<verb>\S+)(?:\s+(?P<environment>\S+))?")


class Mode(StrEnum):
    """Extent of a run; each mode includes the work of the one below it."""

    DEPLOY = "deploy"  # build, test, push, deploy
    BUILD = "build"  # build, test, push
    TEST = "test"  # build, test
    SKIP = "skip"


class Kind(StrEnum):
    """Kind of ref or event that a rule applies to."""

    BRANCH = "branch"
    TAG = "tag"
    SCHEDULE = "schedule"


@dataclass(frozen=True)
class Rule:
    """Line of the input; `environment` only with `deploy`."""

    kind: Kind
    pattern: str
    mode: Mode
    environment: str = ""

    def fits(self, ref: str) -> bool:
        """True if the rule applies to this ref; a scheduled run has the default branch's ref and rules of its
        own.
        """
        prefix = {Kind.BRANCH: HEADS, Kind.TAG: TAGS}.get(self.kind)
        return (
            prefix is not None and ref.startswith(prefix) and matches(self.pattern, ref.removeprefix(prefix))
        )


def default_rules(production: str, develop: str, environment: str) -> tuple[Rule, ...]:
    """Returns the rules for an empty input `branches`."""
    branches = ((production, Mode.DEPLOY, environment), (develop, Mode.BUILD, ""))
    named = (Rule(Kind.BRANCH, name, mode, place) for name, mode, place in branches if name)
    return (*named, Rule(Kind.TAG, VERSIONS, Mode.BUILD))


def parse_branches(text: str, environment: str) -> tuple[Rule, ...]:
    """Returns the rules in the order of their lines; a bare `deploy` goes to `environment`. Raises
    ConfigError naming every bad line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    rules: list[Rule] = []
    wrong: list[str] = []
    for number, line in lines:
        if not line or line.startswith("# "):
            continue
        try:
            rules.append(_rule(line, environment))
        except ValueError as error:
            wrong.append(f"line {number}, {line!r}: {error}")
    if wrong:
        raise ConfigError("branches", "; ".join(wrong), hint=_EXAMPLE)
    return tuple(rules)


_EXAMPLE = "a line reads `main: deploy production`, `develop: build`, `docs/**: skip` or `tags v*: build`"


def _rule(line: str, environment: str) -> Rule:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError("should be PATTERN: deploy ENVIRONMENT, build, test or skip")
    pattern, verb, place = found["pattern"], found["verb"], found["environment"] or ""
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(f"{pattern!r} is no branch's or tag's name")
    if verb not in list(Mode):
        raise ValueError(f"{verb!r} should be deploy, build, test or skip")
    mode = Mode(verb)
    if place and mode is not Mode.DEPLOY:
        raise ValueError(f"only deploy goes to an environment, {mode} does not")
    if mode is Mode.DEPLOY:
        place = place or environment
        if not NAME.fullmatch(place):
            raise ValueError(f"environment {place!r} should be lower-case letters, digits and hyphens")
    if pattern == _SCHEDULE and not found["tags"]:
        return Rule(Kind.SCHEDULE, "", mode, place)
    return Rule(Kind.TAG if found["tags"] else Kind.BRANCH, pattern, mode, place)


def find_rule(rules: Sequence[Rule], ref: str) -> Rule | None:
    """Returns the first rule that applies to this ref."""
    return _first(rule for rule in rules if rule.fits(ref))


def find_schedule(rules: Sequence[Rule]) -> Rule | None:
    """Returns the first rule for scheduled runs."""
    return _first(rule for rule in rules if rule.kind is Kind.SCHEDULE)


def _first(rules: Iterable[Rule]) -> Rule | None:
    return next(iter(rules), None)
