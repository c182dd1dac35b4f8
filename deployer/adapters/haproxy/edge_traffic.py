"""Traffic of one edge. In: routes, addresses. Out: traffic switched, sessions counted. Never decides
anything.

`set server` is synchronous: when a switch returns, new requests go to the new replicas (measured 5 ms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from deployer.adapters.haproxy.edge_folder import EdgeFolder
from deployer.adapters.haproxy.runtime_socket import RuntimeSocket
from deployer.adapters.haproxy.slots import (
    Slot,
    close_commands,
    end_sessions_commands,
    open_addresses,
    switch_commands,
)
from deployer.core.compose.routes import Route
from deployer.core.docker.haproxy_config import assign_slots, fit_slots, take_over_ports
from deployer.core.errors import EdgeUnavailable


class EdgeTraffic:
    """Switches the routes of one edge between addresses, closes addresses, and counts their sessions."""

    def __init__(self, folder: EdgeFolder, runtime: RuntimeSocket) -> None:
        self._folder = folder
        self._runtime = runtime

    def slots(self) -> dict[str, list[Slot]]:
        """Returns route name → its slots in the running HAProxy; no slots while it does not answer."""
        return self._runtime.slots(self._folder.routes())

    def switch(self, wanted: Mapping[Route, Sequence[str]]) -> None:
        """Switches each route to its addresses. Raises EdgeUnavailable."""
        before = self._folder.configuration()
        known = {route.name for route in self._folder.routes()}
        moved = [route for route in wanted if route.name not in known]
        try:
            self._fill({route.name: addresses for route, addresses in wanted.items() if route.name in known})
            if moved:
                self._take_over(moved, wanted)
        except EdgeUnavailable:
            self._folder.save(before)
            raise

    def _fill(self, wanted: Mapping[str, Sequence[str]]) -> None:
        routes = {route.name: route for route in self._folder.routes()}
        slots = self.slots()
        after: dict[str, dict[int, str]] = {name: open_addresses(slots.get(name, ())) for name in routes}
        commands: list[str] = []
        for name, addresses in wanted.items():
            busy = [slot.number for slot in slots.get(name, ()) if slot.sessions]
            after[name] = assign_slots(after[name], busy, addresses, routes[name].slots)
            commands += switch_commands(routes[name], slots.get(name, ()), after[name])
        # The file first: an edge that restarts now comes back with the new addresses.
        self._folder.save(self._folder.render(tuple(routes.values()), after))
        self._runtime.send(commands)

    def _take_over(self, moved: Sequence[Route], wanted: Mapping[Route, Sequence[str]]) -> None:
        """Moves a port to another service, which needs a reload; HAProxy hands the listening socket on."""
        live = {name: open_addresses(slots) for name, slots in self.slots().items()}
        live |= {route.name: dict(enumerate(wanted[route], 1)) for route in moved}
        routes = take_over_ports(self._folder.routes(), moved)
        self._folder.save(self._folder.render(routes, fit_slots(routes, live)))
        self._runtime.reload()

    def close(self, addresses: Sequence[str]) -> None:
        """Takes these addresses out for good and closes pooled connections to them."""
        closing = [
            command
            for slots in self.slots().values()
            for slot in slots
            if slot.address in addresses
            for command in close_commands(slot)
        ]
        self._runtime.send(closing)

    def close_all_but(self, alive: Set[tuple[str, str]]) -> None:
        """Takes out every address that is not in `alive`, pairs of service and address, and ends the requests
        that wait for it: no replica is left to answer or hang up.
        """
        dead = [
            slot
            for name, slots in self.slots().items()
            for slot in slots
            if (name.rpartition("_")[0], slot.address) not in alive
        ]
        closing = [command for slot in dead if slot.open for command in close_commands(slot)]
        ending = [command for slot in dead if slot.sessions for command in end_sessions_commands(slot)]
        self._runtime.send(closing + ending)

    def end_sessions(self, addresses: Sequence[str]) -> None:
        """Ends requests that still wait for these addresses, whose replicas are gone."""
        self._runtime.send(
            [
                command
                for slots in self.slots().values()
                for slot in slots
                if slot.address in addresses and slot.sessions and not slot.open
                for command in end_sessions_commands(slot)
            ]
        )

    def sessions(self, address: str) -> int:
        """Returns the number of requests in flight to this address over all routes, WebSockets too, including
        those on workers from before a reload.
        """
        now = [slot for slots in self.slots().values() for slot in slots]
        before = self._runtime.slots_of_replaced_workers()
        return sum(slot.sessions for slot in (*now, *before) if slot.address == address)
