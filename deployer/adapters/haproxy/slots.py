"""Server lines of HAProxy's backends. In: `show stat`, wanted addresses. Out: slots, and the commands that
change them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployer.core.compose.routes import Route


@dataclass(frozen=True)
class Slot:
    """One server line of a route: its address, state and requests in flight."""

    number: int
    address: str
    state: str  # UP, MAINT, DRAIN, no check, …
    sessions: int

    @property
    def open(self) -> bool:
        return not self.state.startswith(("MAINT", "DRAIN"))


def slots_in_statistics(text: str) -> Iterator[tuple[str, Slot]]:
    """Yields route name and slot for each line of `show stat`."""
    for row in csv.DictReader(io.StringIO(text.lstrip("# "))):
        address = row["addr"].rpartition(":")[0]
        number = int(row["svname"].removeprefix("s"))
        yield row["pxname"], Slot(number, address, row["status"], int(row["scur"] or 0))


def open_addresses(slots: Sequence[Slot]) -> dict[int, str]:
    """Returns number → address of the slots that take requests."""
    return {slot.number: slot.address for slot in slots if slot.open}


def close_command(route: str, number: int) -> str:
    return f"set server {route}/s{number} state maint"


def end_sessions_command(route: str, number: int) -> str:
    return f"shutdown sessions server {route}/s{number}"


def switch_commands(route: Route, slots: Sequence[Slot], after: Mapping[int, str]) -> list[str]:
    """Returns the commands of a switch. New addresses open before old ones close, so that no moment is
    without a server. Old ones close by `maint`, as `drain` still accepts pinned clients; requests in flight
    continue in both. Of several old ones all drain first: HAProxy serves requests between two commands, and a
    client whose server has closed must not be pinned to one that closes next.
    """
    before = open_addresses(slots)
    left = {slot.number for slot in slots if slot.sessions and not slot.open}
    opening = [end_sessions_command(route.name, number) for number in after if number in left]
    for number, address in after.items():
        if before.get(number) != address:
            server = f"{route.name}/s{number}"
            opening += [
                f"set server {server} addr {address} port {route.port}",
                f"set server {server} state ready",
            ]
    old = [number for number in before if number not in after]
    draining = [f"set server {route.name}/s{number} state drain" for number in old if len(old) > 1]
    return opening + draining + [close_command(route.name, number) for number in old]
