"""The connection to one Docker engine. In: its address. Out: answers to single calls."""

from __future__ import annotations

import threading
from typing import Any

import docker
import requests
from docker.errors import NotFound as Gone
from docker.errors import create_api_error_from_http_exception

from deployer.adapters.docker.engine_errors import BROKEN, connect
from deployer.core.errors import EngineUnavailable

TIMEOUT = 60
PULL_LIMIT = 600.0  # seconds of a pull
_PING_TIMEOUT = 5.0


class EngineConnection:
    """It is made at the first question, so that an engine that is down stops no start."""

    def __init__(
        self, host: str | None = None, *, timeout: int = TIMEOUT, pull_deadline: float = PULL_LIMIT
    ) -> None:
        self._host = host
        self._timeout = timeout
        self._pull_deadline = pull_deadline
        self.listen = ""  # the receiver's own `ADDRESS:PORT`, which no container may have
        self._lock = threading.Lock()
        self._connected: docker.APIClient | None = None

    @property
    def _client(self) -> docker.APIClient:
        with self._lock:
            if self._connected is None:
                self._connected = connect(self._host, self._timeout)
            return self._connected

    @property
    def is_here(self) -> bool:
        """True if the engine is on this machine: reached by a socket file, not over a network."""
        return bool(self._client.base_url == "http+docker://localhost")

    def ping(self) -> bool:
        """True if the engine answers."""
        try:
            client = self._client
            limit = min(_PING_TIMEOUT, self._timeout)
            return bool(client.get(f"{client.base_url}/_ping", timeout=limit).ok)
        except (EngineUnavailable, *BROKEN):
            return False

    def _post(self, path: str, **options: Any) -> requests.Response:
        return self._send("POST", path, **options)

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        client = self._client
        url = f"{client.base_url}/v{client.api_version}{path}"
        answer: requests.Response = client.request(method, url, **options)
        try:
            answer.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)
        return answer

    def _inspect(self, id: str) -> dict[str, Any] | None:
        try:
            details: dict[str, Any] = self._client.inspect_container(id)
        except Gone:
            return None
        return details
