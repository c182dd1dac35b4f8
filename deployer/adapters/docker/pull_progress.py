"""Pull of one image: its login and its progress stream. In: a login, the engine's answer. Out: a header,
progress lines, or the failure that the stream reports.

The engine answers 200 as soon as a pull begins; the last line of the stream tells its end.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import docker
import docker.auth
import requests

from deployer.core.errors import ImageNotFound, RegistryUnavailable
from deployer.core.model import Credentials

_SAY_EVERY = 2.0  # seconds between progress lines of one pull


def follow(stream: requests.Response, image: str, deadline: float, say: Callable[[str], None]) -> None:
    """Reads the progress to its end, at most until `deadline`. Raises the error that the engine reports in
    the stream, and the errors of a broken connection.
    """
    layers: dict[str, tuple[int, int]] = {}
    spoken = time.monotonic()
    with _ended_at(stream, deadline):
        for text in filter(None, stream.iter_lines()):
            line = json.loads(text)
            raise_pull_error(line, image)
            _count_bytes(line, layers)
            if time.monotonic() - spoken > _SAY_EVERY:
                spoken = time.monotonic()
                say(_progress(layers))
    if time.monotonic() >= deadline:  # a cut stream may look like one that ended
        raise TimeoutError


def login_header(
    client: docker.APIClient, repository: str, given: Credentials | None, *, stored: bool = True
) -> bytes | None:
    """Returns the value of `X-Registry-Auth`. `stored`: without a given login, the login of this user's own
    Docker settings for the repository's registry is used.
    """
    if given:
        header: bytes = docker.auth.encode_header({"username": given.username, "password": given.password})
        return header
    if not stored:
        return None
    registry, _ = docker.auth.resolve_repository_name(repository)
    found: bytes | None = docker.auth.get_config_header(client, registry)
    return found


def raise_pull_error(line: Mapping[str, Any], image: str) -> None:
    """Raises ImageNotFound or RegistryUnavailable for a line that reports an error."""
    if "error" not in line:
        return
    text = str(line["error"])
    if any(word in text for word in ("not found", "manifest unknown", "denied", "unauthorized")):
        raise ImageNotFound(
            f"{image} cannot be pulled: {text}",
            hint="it is not in the registry, or this login may not read it",
        )
    raise RegistryUnavailable(f"{image} cannot be pulled: {text}")


@contextmanager
def _ended_at(stream: requests.Response, deadline: float) -> Iterator[None]:
    """Ends the stream at the deadline, also while it is silent."""

    def shut() -> None:
        with suppress(OSError, ValueError, RuntimeError):  # it ended by itself
            stream.raw.shutdown()

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _count_bytes(line: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> None:
    detail = line.get("progressDetail") or {}
    if line.get("status") == "Downloading" and "total" in detail:
        layers[str(line.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))


def _progress(layers: Mapping[str, tuple[int, int]]) -> str:
    done, total = (sum(pair[part] for pair in layers.values()) for part in (0, 1))
    return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else "waiting for the registry"
