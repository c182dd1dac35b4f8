"""Declaration of verbs and the values of their arguments. In: argparse. Out: parsers and checked values."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from deployer.core.config.settings import App, Config
from deployer.core.errors import NotFound
from deployer.core.images import REVISION
from deployer.core.reporting.deployment_text import one_line

Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"
_MOST_DAYS, _MOST_ROWS, _LONGEST_NAME = 3650, 10_000, 64


class Parser(argparse.ArgumentParser):
    """Parser that proposes the verb nearest to a misspelt one."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = [str(choice) for choice in action.choices or ()]
        if choices and value not in choices:
            known = meant(str(value), choices) or f"verbs: {', '.join(choices)}"
            raise argparse.ArgumentError(None, f"no verb {value!r}; {known}")


def meant(word: str, known: Iterable[str]) -> str:
    """Returns the proposal for a misspelt word, empty without one that is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def app_of(config: Config, name: str) -> App:
    """Returns the app. Raises NotFound with the nearest name: who reads the settings may know it."""
    try:
        return config.app(name)
    except NotFound as error:
        raise NotFound(str(error), hint=f"{meant(name, config.apps)} {error.hint}".strip()) from None


def add_group(verbs: Verbs, name: str, text: str) -> Verbs:
    """Adds a verb with verbs of its own; alone it prints its help."""
    parser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(run=help_of(parser))
    return parser.add_subparsers(title="verbs", metavar="VERB")


def help_of(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def print_help(_arguments: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    return print_help


def add_verb(
    verbs: Verbs,
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int],
    *,
    place: bool = False,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    if place:
        parser.add_argument("app", help="name of the app in the settings")
        parser.add_argument(
            "environment",
            nargs="?",
            default="production",
            help="environment of the app (default: production)",
        )
    return parser


def revision(text: str) -> str:
    if text and not REVISION.fullmatch(text):
        raise argparse.ArgumentTypeError("should be a full commit id, 40 hex digits")
    return text


def token_name(text: str) -> str:
    if not text.strip() or text != one_line(text) or len(text) > _LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"should be 1 to {_LONGEST_NAME} characters in one line")
    return text


def limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_ROWS:
        raise argparse.ArgumentTypeError(f"should be a number from 1 to {_MOST_ROWS}")
    return int(text)


def days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= _MOST_DAYS:  # false for nan as well
        raise argparse.ArgumentTypeError(f"should be a number of days above 0, at most {_MOST_DAYS}")
    return days
