"""Errors for unsuccessful answers of the engine. In: a call. Out: an expected failure that names the action
and its object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException
from docker.errors import NotFound as Gone

from deployer.adapters.docker.container_errors import is_refusal, refusal
from deployer.adapters.docker.pull_progress import raise_pull_error
from deployer.core.errors import EngineUnavailable, ImageNotFound

BROKEN = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)


@contextmanager
def answering(action: str, image: str = "") -> Iterator[None]:
    """Turns errors of the engine and of its connection into expected failures with the engine's message."""
    try:
        yield
    except Gone as error:
        if not image:
            raise EngineUnavailable(f"{action}: {error.explanation}") from None
        raise ImageNotFound(f"{image} cannot be pulled: {error.explanation}") from None
    except APIError as error:
        if not image:
            raise EngineUnavailable(f"{action}: {error.explanation or error}") from None
        raise_pull_error({"error": str(error.explanation or error)}, image)
    except (*BROKEN, json.JSONDecodeError) as error:
        raise _unavailable(action, error) from None


def _unavailable(action: str, error: Exception) -> EngineUnavailable:
    if "Permission denied" in str(error):  # the SDK wraps it several times
        return EngineUnavailable(
            f"{action}: permission to use the engine's socket is denied",
            hint="let the deployer's user into the group that the socket belongs to, usually docker",
        )
    return EngineUnavailable(
        f"{action}: the engine does not answer ({type(error).__name__})",
        hint="is Docker running and DOCKER_HOST right?",
    )


@contextmanager
def refusing(action: str) -> Iterator[None]:
    """Turns a refusal of the engine into an error of the release. Faults of the engine (5xx) pass
    unchanged.
    """
    try:
        yield
    except APIError as error:
        text = str(error.explanation or error)
        if error.is_client_error() or is_refusal(text):
            raise refusal(action, text) from None
        raise


@contextmanager
def gone_is_fine() -> Iterator[None]:
    """Ignores that the container, network or image does not exist any more."""
    try:
        yield
    except Gone:
        return


def connect(address: str | None, timeout: int) -> docker.APIClient:
    """Returns a client of the engine at `address`, or at the environment's. Raises EngineUnavailable."""
    with answering("connect"):
        if address:
            return docker.APIClient(base_url=address, version="auto", timeout=timeout)
        return docker.from_env(version="auto", timeout=timeout).api
