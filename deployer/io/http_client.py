"""HTTP client. In: method, URL, headers, body. Out: `Answer` or open stream; no connection is
ServerUnavailable.

Never follows redirects: a bearer token goes to its own host and to no other.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from deployer.core.errors import DeployerError

_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|::1")


def is_loopback(host: str) -> bool:
    """True if `host`, perhaps with a port, is this machine."""
    return _LOOPBACK.fullmatch(urlsplit(f"//{host}").hostname or "") is not None


MAX_ANSWER = 4_000_000


class ServerUnavailable(DeployerError):
    """No usable connection to a server."""

    code = "server-unavailable"


@dataclass(frozen=True)
class Answer:
    """A complete answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def table(self) -> dict[str, Any]:
        """Returns the body as a JSON object, empty if it is anything else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout: float = 30,
    tries: int = 1,
) -> Answer:
    """Sends a request and returns its answer; without an answer, or after a 5xx, sends it `tries` times in
    all.

    Raises ServerUnavailable if the last try got no answer.
    """
    for left in range(tries - 1, 0, -1):
        with suppress(ServerUnavailable):
            answer = _call(method, url, headers, body, timeout)
            if answer.status < 500:
                return answer
        time.sleep(2.0 ** (tries - 1 - left))
    return _call(method, url, headers, body, timeout)


def _call(method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float) -> Answer:
    with open_stream(method, url, headers=headers, body=body, timeout=timeout) as response:
        try:
            body = read_whole(response, MAX_ANSWER, time.monotonic() + timeout)
            return Answer(response.status or 0, _lower(response.headers.items()), body)
        except (OSError, http.client.HTTPException) as error:
            raise _unavailable(url, error) from None


def read_whole(response: Any, most: int, until: float) -> bytes:
    """Reads at most `most` bytes of a body, until the monotonic time `until`: a slow body might never end.

    Raises OSError or HTTPException.
    """
    parts, left = list[bytes](), most
    while left > 0 and (part := response.read1(min(left, 65_536))):
        parts.append(part)
        left -= len(part)
        if time.monotonic() > until:
            raise TimeoutError("the answer takes too long")
    if left > 0 and response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def open_stream(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, timeout: float = 30
) -> http.client.HTTPResponse | urllib.error.HTTPError:
    """Returns the answer with its body still unread; `timeout` applies to every read. Raises
    ServerUnavailable.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ServerUnavailable(f"{url!r} is not an HTTP address")
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
    # A proxy cannot reach the runner's own loopback.
    proxies = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(url).netloc) else []
    try:
        opened = urllib.request.build_opener(_NoRedirect, *proxies).open(request, timeout=timeout)
    except urllib.error.HTTPError as answer:
        return answer
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unavailable(url, error) from None
    assert isinstance(opened, http.client.HTTPResponse)
    return opened


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Returns the headers with names in lower case."""
    return {name.lower(): value for name, value in headers}


def _unavailable(url: str, error: Exception) -> ServerUnavailable:
    cause = getattr(error, "reason", None) or str(error) or type(error).__name__
    return ServerUnavailable(f"{urlsplit(url).netloc} does not answer: {cause}")
