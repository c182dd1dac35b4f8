"""Hooks: commands that a release runs beside its rollout. In: a rendered Compose model. Out: `Hook`: the
service that lends its image, the moment, the timeout. Never runs one.

A hook runs as one more container of its service, with the service's environment, networks and volumes.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deployer.core.compose.services import levels_of, seconds, settings_of
from deployer.core.errors import ComposeRejected

_TIMEOUT = 600.0
_ONE_WAY = "never-after-pre-deploy"


class HookMoment(StrEnum):
    """Point of a deployment at which hooks run, and the key of `x-deployer` that names their command."""

    PRE_DEPLOY = "pre-deploy"
    POST_DEPLOY = "post-deploy"
    ON_ROLLBACK = "on-rollback"


@dataclass(frozen=True)
class Hook:
    """Hook of one service. `command` replaces the image's command; `seconds` is its timeout."""

    service: str
    moment: HookMoment
    command: tuple[str, ...]
    seconds: float


def hooks_of(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Hook, ...]:
    """Returns the hooks of all services in dependency order. Raises ComposeRejected for an invalid one."""
    levels = levels_of(tables)
    return tuple(
        hook
        for name in sorted(tables, key=lambda name: (levels[name], name))
        for hook in _hooks(name, tables[name])
    )


def is_one_way(tables: Mapping[str, Mapping[str, Any]]) -> bool:
    """True if the model forbids an automatic rollback after a pre-deploy hook ran."""
    return any(_rollback_of(table) == _ONE_WAY for table in tables.values())


def _hooks(name: str, table: Mapping[str, Any]) -> Iterator[Hook]:
    settings = settings_of(table)
    for moment in HookMoment:
        if settings.get(moment) is not None:
            yield Hook(
                name,
                moment,
                _words(moment, settings[moment]),
                seconds(settings.get("hook-timeout"), _TIMEOUT),
            )


def _words(moment: HookMoment, command: object) -> tuple[str, ...]:
    """Returns the command as a list. A line is split by shell rules but runs without a shell, as in
    Compose.
    """
    try:
        words = shlex.split(command) if isinstance(command, str) else command
    except ValueError as error:
        raise ComposeRejected(f"x-deployer.{moment}: {error}") from None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ComposeRejected(f"x-deployer.{moment} should be a command", hint="a line, or a list of words")
    return tuple(word.replace("$$", "$") for word in words)


def _rollback_of(table: Mapping[str, Any]) -> object:
    declared = settings_of(table).get("rollback")
    if declared not in (None, _ONE_WAY, "automatic"):
        raise ComposeRejected(f"x-deployer.rollback is {declared!r}", hint=f"it is automatic or {_ONE_WAY}")
    return declared
