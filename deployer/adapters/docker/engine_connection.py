"""The connection to one Docker engine. In: its address. Out: answers to single calls."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import docker
import requests
from docker.errors import NotFound as Gone
from docker.errors import create_api_error_from_http_exception

from deployer.adapters.docker.engine_errors import BROKEN, answering, connect
from deployer.core.docker.compose_calls import PermittedCall
from deployer.core.errors import EngineUnavailable

TIMEOUT = 60
_PING_TIMEOUT = 5.0


class EngineConnection:
    """Client of one engine's API, connected at the first call: an engine that is down stops no start."""

    def __init__(self, address: str | None = None, *, timeout: int = TIMEOUT) -> None:
        self._address = address
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connected: docker.APIClient | None = None

    @property
    def client(self) -> docker.APIClient:
        with self._lock:
            if self._connected is None:
                self._connected = connect(self._address, self._timeout)
            return self._connected

    @property
    def is_here(self) -> bool:
        """True if the engine is on this machine: reached by a socket file, not over a network."""
        return bool(self.client.base_url == "http+docker://localhost")

    def ping(self) -> bool:
        """True if the engine answers."""
        try:
            client = self.client
            limit = min(_PING_TIMEOUT, self._timeout)
            return bool(client.get(f"{client.base_url}/_ping", timeout=limit).ok)
        except (EngineUnavailable, *BROKEN):
            return False

    def forward(self, call: PermittedCall) -> tuple[int, Mapping[str, str], bytes]:
        """Passes on a permitted call of Compose and returns the engine's answer."""
        headers = {"Content-Type": "application/json"} if call.body else {}
        with answering("forward"):
            client = self.client
            url, data = f"{client.base_url}{call.path}", call.body or None
            answer = client.request(call.method, url, data=data, headers=headers, timeout=self._timeout)
        return answer.status_code, answer.headers, answer.content

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.send("POST", path, **options)

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Sends one request of the API's version that both sides know. Raises APIError for an error
        status.
        """
        client = self.client
        url = f"{client.base_url}/v{client.api_version}{path}"
        answer: requests.Response = client.request(method, url, **{"timeout": self._timeout, **options})
        try:
            answer.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)
        return answer

    def inspect(self, id: str) -> dict[str, Any] | None:
        """Returns the inspection of a container, or None if it is gone."""
        try:
            details: dict[str, Any] = self.client.inspect_container(id)
        except Gone:
            return None
        return details
