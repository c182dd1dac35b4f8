"""HAProxy's runtime sockets. In: commands. Out: answers; the running HAProxy changed at once, or reloaded.

The sockets lie in the edge's folder, which the container mounts. After a reload the old worker lives on while
it has connections, a WebSocket's for hours: it receives every command too, and its sessions count. Commands:
HAProxy 3.0 management guide, sections 9.3 and 9.4.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from deployer.adapters.haproxy.slots import Slot, slots_in_statistics
from deployer.core.compose.routes import Route
from deployer.core.errors import EdgeUnavailable

_TIMEOUT = 5.0
_RELOAD_TIMEOUT = 20.0
_WORKER, _MASTER = "admin.sock", "master.sock"
_GRANTED = re.compile(r"changed from|no need to change|nothing changed|proxy is disabled", re.IGNORECASE)
_STATISTICS = "show stat -1 4 -1"  # every server of every backend
_PROCESSES = "show proc;quit"
_DESCRIPTION = re.compile(r"^description: (\S+)$", re.MULTILINE | re.IGNORECASE)
_OLD_WORKERS = re.compile(r"^# old workers\n((?:[0-9].*\n?)*)", re.MULTILINE)


class RuntimeSocket:
    """Sends commands to one running HAProxy: to its master, its worker, and workers that a reload
    replaced.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def slots(self, routes: Iterable[Route]) -> dict[str, list[Slot]]:
        """Returns route name → its slots in the running HAProxy; no slots while it does not answer."""
        found: dict[str, list[Slot]] = {route.name: [] for route in routes}
        try:
            text = self._ask(_WORKER, _STATISTICS)
        except EdgeUnavailable:
            return found
        for name, slot in slots_in_statistics(text):
            found.setdefault(name, []).append(slot)
        return found

    def slots_of_replaced_workers(self) -> list[Slot]:
        """Returns the slots of workers from before a reload, over all routes."""
        return [
            slot for text in self._send_to_replaced([_STATISTICS]) for _, slot in slots_in_statistics(text)
        ]

    def send(self, commands: Sequence[str]) -> None:
        """Sends commands to all workers. Raises EdgeUnavailable if the current one does not answer or
        refuses.
        """
        if not commands:
            return
        answer = self._ask(_WORKER, ";".join(commands))
        unexpected = [line for line in answer.splitlines() if line.strip() and not _GRANTED.search(line)]
        if unexpected:
            raise EdgeUnavailable(f"the edge refused a command: {unexpected[0][:300]}")
        self._send_to_replaced(commands)

    def reload(self) -> None:
        """Loads the configuration file anew. Raises EdgeUnavailable with HAProxy's message if it is
        refused.
        """
        answer = self._ask(_MASTER, "reload", _RELOAD_TIMEOUT)
        if "Success=1" not in answer:
            raise EdgeUnavailable(f"the edge refused its new configuration: {answer.strip()[-500:]}")

    def fingerprint(self) -> str:
        """Returns the fingerprint of the worker's configuration; empty while worker or master do not
        answer.
        """
        try:
            worker = self._ask(_WORKER, "show info")
            if "Uptime" not in worker or "master" not in self._ask(_MASTER, _PROCESSES):
                return ""
        except EdgeUnavailable:
            return ""
        found = _DESCRIPTION.search(worker)
        return found.group(1) if found else "none"  # an older deployer wrote no fingerprint

    def _send_to_replaced(self, commands: Sequence[str]) -> list[str]:
        """Returns the answers of workers that a reload has replaced; such a worker may end at any moment, and
        lacks newer routes.
        """
        try:
            shown = _OLD_WORKERS.search(self._ask(_MASTER, _PROCESSES))
            pids = [line.split()[0] for line in shown.group(1).splitlines()] if shown else []
            lines = (";".join([*(f"@!{pid} {command}" for command in commands), "quit"]) for pid in pids)
            return [self._ask(_MASTER, line) for line in lines]
        except EdgeUnavailable:
            return []

    def _ask(self, name: str, command: str, timeout: float = _TIMEOUT) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            try:
                connection.connect(str(self._folder / name))
                connection.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
            except OSError as error:
                raise EdgeUnavailable(
                    f"the edge does not answer on {name}: {error}",
                    hint="`docker logs` of the project's deployer-edge container says why",
                ) from None
