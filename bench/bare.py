"""Replacement of containers by the engine alone. In: services' start-up times. Out: seconds.

Images are present. Containers are created, started (the slowest first, then as many at once as there are
processors) and requested every 10 ms until each has answered once; then the previous containers are stopped
and removed, all at once. No pull, no ports, no edge, no second check.
"""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import docker

from deployer.core.images import Image

_ASK = 0.01  # seconds between two requests
_LONGEST = 60.0
_PORT = 3001
_AT_ONCE = 16


@dataclass(frozen=True)
class Took:
    """Seconds from the first call until all have answered, and until the old containers are gone."""

    first: float
    wall: float


class Bare:
    """Context manager of one project with its own network."""

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

    def replace(self, startup_times: Sequence[int]) -> Took:
        """Replaces the containers; `startups` in milliseconds."""
        self._round += 1
        begun = time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            made = list(
                pool.map(self._create, sorted(startup_times, reverse=True), range(len(startup_times)))
            )
            answers = [pool.submit(self._answer, id) for id in self._start(made)]
            for answer in answers:
                answer.result()
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

    def _start(self, made: Sequence[str]) -> Iterator[str]:
        self._api.start(made[0])
        yield made[0]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for id, _ in zip(made[1:], pool.map(self._api.start, made[1:]), strict=True):
                yield id

    def _answer(self, id: str) -> None:
        url = f"http://{self._address(id)}:{_PORT}/health"
        end = time.monotonic() + _LONGEST
        while time.monotonic() < end:
            with suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
                answer.read()
                return
            time.sleep(_ASK)
        raise TimeoutError(f"{id[:12]} does not answer")

    def _address(self, id: str) -> str:
        networks = self._api.inspect_container(id)["NetworkSettings"]["Networks"]
        return str(networks[self._name]["IPAddress"])

    def _take_down(self, id: str) -> None:
        self._api.stop(id, timeout=10)
        self._api.remove_container(id)
