"""Server lines of HAProxy's backends. In: `show stat`, wanted addresses. Out: slots, and the commands that
change them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from deployer.core.compose.routes import Route
from deployer.core.docker.haproxy_config import GRPC


@dataclass(frozen=True)
class Slot:
    """Server of a route: its address, state and requests in flight. `backends` are the names of HAProxy's
    backends that have it: a route of HTTP has another one for gRPC.
    """

    number: int
    address: str
    state: str  # UP, MAINT, DRAIN, no check, …
    sessions: int
    backends: tuple[str, ...]

    @property
    def open(self) -> bool:
        return not self.state.startswith(("MAINT", "DRAIN"))


def slots_in_statistics(text: str) -> Iterator[tuple[str, Slot]]:
    """Yields route name and slot for each server of `show stat`."""
    found: dict[tuple[str, int], Slot] = {}
    for row in csv.DictReader(io.StringIO(text.lstrip("# "))):
        key = row["pxname"].removesuffix(GRPC), int(row["svname"].removeprefix("s"))
        address, sessions = row["addr"].rpartition(":")[0], int(row["scur"] or 0)
        slot = found.get(key, Slot(key[1], address, row["status"], 0, ()))
        backends = (*slot.backends, row["pxname"])
        found[key] = replace(slot, sessions=slot.sessions + sessions, backends=backends)
    yield from ((route, slot) for (route, _), slot in found.items())


def open_addresses(slots: Sequence[Slot]) -> dict[int, str]:
    """Returns number → address of the slots that take requests."""
    return {slot.number: slot.address for slot in slots if slot.open}


def close_commands(slot: Slot) -> list[str]:
    return [f"set server {backend}/s{slot.number} state maint" for backend in slot.backends]


def end_sessions_commands(slot: Slot) -> list[str]:
    return [f"shutdown sessions server {backend}/s{slot.number}" for backend in slot.backends]


def switch_commands(route: Route, slots: Sequence[Slot], after: Mapping[int, str]) -> list[str]:
    """Returns the commands of a switch. New addresses open before old ones close, so that no moment is
    without a server. Old ones close by `maint`, as `drain` still accepts pinned clients; requests in flight
    continue in both. Of several old ones all drain first: HAProxy serves requests between two commands, and a
    client whose server has closed must not be pinned to one that closes next.
    """
    before = open_addresses(slots)
    left = [slot for slot in slots if slot.sessions and not slot.open and slot.number in after]
    opening = [command for slot in left for command in end_sessions_commands(slot)]
    backends = {slot.number: slot.backends for slot in slots}
    for number, address in after.items():
        for backend in backends.get(number, (route.name,)) if before.get(number) != address else ():
            server = f"{backend}/s{number}"
            opening += [
                f"set server {server} addr {address} port {route.port}",
                f"set server {server} state ready",
            ]
    old = [slot for slot in slots if slot.open and slot.number not in after]
    servers = [f"{backend}/s{slot.number}" for slot in old for backend in slot.backends]
    draining = [f"set server {server} state drain" for server in servers if len(old) > 1]
    return opening + draining + [command for slot in old for command in close_commands(slot)]
