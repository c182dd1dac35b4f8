"""Commands of a switch, in their order."""

from __future__ import annotations

import pytest

from deployer.adapters.haproxy.slots import Slot, switch_commands
from deployer.core.compose.routes import Route


def route() -> Route:
    return Route(service="web", port=3001, http=True, slots=6)


@pytest.mark.parametrize("old", [1, 2, 3])
def test_new_servers_open_first_and_no_old_one_closes_while_another_takes_clients(old: int) -> None:
    slots = [Slot(number, f"10.0.0.{number}", "UP", 0, ("web_3001",)) for number in range(1, old + 1)]
    after = {number + old: f"10.0.1.{number}" for number in range(1, old + 1)}
    commands = switch_commands(route(), slots, after)
    states = [command.rpartition(" state ")[2] for command in commands if " state " in command]
    assert states == ["ready"] * old + ["drain"] * (old if old > 1 else 0) + ["maint"] * old
