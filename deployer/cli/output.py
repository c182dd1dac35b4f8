"""Text output of deployments on a terminal. In: deployments, events. Out: lines. Never decides."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable

from deployer.cli.colors import coloured
from deployer.core.model import Deployment, Event
from deployer.core.reporting.deployment_text import one_line, plain
from deployer.core.rollout.availability import brief


def terminal_width() -> int:
    """Returns the terminal's columns; 0 if stdout is a file or another program, whose lines have no limit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def print_events(events: Iterable[Event], begun: float) -> None:
    """Prints events with the seconds since `begun`."""
    for event in events:
        first, *rest = event.text.splitlines() or [""]
        print(f"{event.at - begun:7.2f} s  {coloured(f'{event.kind:<8}', event.kind)}  {one_line(first)}")
        for line in rest:
            print(f"{'':>21}{plain(line)}")


def print_state(deployment: Deployment) -> None:
    """Prints the deployment's status, reason and measured availability."""
    word = coloured(deployment.status.value, deployment.status.value)
    print(word + (f": {one_line(deployment.reason)}" if deployment.reason else ""))
    if deployment.measured:
        print(f"users: {brief(deployment.measured)}")
