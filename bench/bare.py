"""The engine alone: what no deployer on this machine can be faster than. In: services' start-up times. Out:
seconds.

Images are there. Containers are created, started (slowest first, all at once) and asked every 10 ms until
each has answered once; then those of the time before are stopped and removed. No pull, no ports, no edge, no
second look.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import docker

from deployer.core.images import Image

_ASK = 0.01  # seconds between two questions
_PORT = 3001
_AT_ONCE = 16


@dataclass(frozen=True)
class Took:
    """Seconds from the first call: until all have answered, and until the old ones are gone."""

    first: float
    wall: float


class Bare:
    """A context manager, with a network of its own."""

    def __init__(self, image: Image, name: str) -> None:
        self._api = docker.from_env().api
        self._image, self._name = str(image), name
        self._old: list[str] = []
        self._round = 0

    def __enter__(self) -> Self:
        self._api.create_network(self._name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for id in self._old:
            self._api.remove_container(id, force=True)
        self._api.remove_network(self._name)

    def replace(self, startups: Sequence[int]) -> Took:
        """`startups` in milliseconds."""
        self._round += 1
        begun = time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            made = list(pool.map(self._create, sorted(startups, reverse=True), range(len(startups))))
            list(pool.map(self._bring_up, made))
            first = time.monotonic() - begun
            list(pool.map(self._take_down, self._old))
        self._old = made
        return Took(first, time.monotonic() - begun)

    def _create(self, startup: int, number: int) -> str:
        made = self._api.create_container(
            self._image,
            environment={"PORT": str(_PORT), "STARTUP_MS": str(startup)},
            host_config=self._api.create_host_config(network_mode=self._name),
            name=f"{self._name}-{self._round}-{number}",
        )
        return str(made["Id"])

    def _bring_up(self, id: str) -> None:
        self._api.start(id)
        url = f"http://{self._address(id)}:{_PORT}/health"
        while True:
            with suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
                answer.read()
                return
            time.sleep(_ASK)

    def _address(self, id: str) -> str:
        networks = self._api.inspect_container(id)["NetworkSettings"]["Networks"]
        return str(networks[self._name]["IPAddress"])

    def _take_down(self, id: str) -> None:
        self._api.stop(id, timeout=10)
        self._api.remove_container(id)
