"""Declaration of verbs and the values of their arguments. In: argparse. Out: parsers and checked values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

from deployer.core.images import REVISION

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_MOST_DAYS, _MOST_ROWS = 3650, 10_000


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
