"""HTTP client. In: method, URL, headers, body, and a policy for connections. Out: `Answer` or `Response`; no
connection is ServerUnavailable.

Never follows redirects: a bearer token goes to its own host and to no other.
"""

from __future__ import annotations

import http.client
import json
import ssl
import string
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from enum import StrEnum
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from deployer.core.errors import DeployerError
from deployer.io.http_connections import AddressRefused, Connection, ConnectionPolicy, Stage

MAX_ANSWER = 4_000_000
_MOVED = (301, 302, 303, 307, 308)
_BLOCK = 65_536
_PACKED = ("gzip", "x-gzip", "deflate")
_ANY_HEADER = 32 + zlib.MAX_WBITS  # gzip's or zlib's


class Fault(StrEnum):
    """Kind of a failure, for messages that must not quote the request. The words are those of the library
    that spoke HTTP here before: they stand in logs and alerts.
    """

    CONNECTION = "ConnectionError"
    CONNECT_TIMEOUT = "ConnectTimeout"
    READ_TIMEOUT = "ReadTimeout"
    TLS = "SSLError"
    PROXY = "ProxyError"
    URL = "InvalidURL"
    REQUEST = "ValueError"
    BODY = "ProtocolError"
    BODY_TIMEOUT = "ReadTimeoutError"
    ENCODING = "DecodeError"
    SLOW = "its answer is too slow"
    LONG = "its answer is too long"


class ServerUnavailable(DeployerError):
    """No usable connection to a server; `reason` is the cause, which may quote the request."""

    code = "server-unavailable"

    def __init__(self, message: str, *, fault: Fault = Fault.CONNECTION, reason: str = "") -> None:
        super().__init__(message)
        self.fault = fault
        self.reason = reason or message


@dataclass(frozen=True)
class Answer:
    """A complete answer; header names in lower case, a repeated header's values joined."""

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


class Response:
    """An answer with its body unread. `ended` takes the connection back: True if it may be used again."""

    def __init__(
        self, url: str, raw: http.client.HTTPResponse, ended: Callable[[bool], None], *, unpack: bool
    ) -> None:
        self.status, self.reason = raw.status, raw.reason
        self.headers: Message = raw.headers
        self._url = url
        self._raw = raw
        self._ended = ended
        self._complete = self._begun = False
        packed = unpack and raw.headers.get("Content-Encoding", "").strip().lower() in _PACKED
        self._unpacker = zlib.decompressobj(_ANY_HEADER) if packed else None

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the exchange. The connection is kept if the body was read to its end."""
        reusable = self._complete and not self._raw.will_close
        self._raw.close()
        self._ended(reusable)

    def read_block(self, most: int = _BLOCK) -> bytes:
        """Returns bytes that have arrived, at most `most`; empty at the end. Raises ServerUnavailable."""
        while (piece := self._piece(most)) == b"":
            pass
        return piece or b""

    def read_whole(self, most: int, until: float) -> bytes:
        """Reads at most `most` bytes of the body, until the monotonic time `until`: a slow body might never
        end. Raises ServerUnavailable.
        """
        parts, left = list[bytes](), most
        while left > 0 and (part := self._piece(min(left, _BLOCK))) is not None:
            parts.append(part)
            left -= len(part)
            if time.monotonic() > until:
                raise _unavailable(self._url, TimeoutError("the answer takes too long"), Fault.SLOW)
        return b"".join(parts)

    def _piece(self, most: int) -> bytes | None:
        """Returns the next bytes; None at the end, no bytes if a packed body had none in what arrived."""
        try:
            return self._unpacked(self._unpacker, most) if self._unpacker else self._arrived(most)
        except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
            raise _unavailable(self._url, error, _body_fault(error)) from None

    def _arrived(self, most: int) -> bytes | None:
        if block := self._raw.read1(most):
            return block
        if self._raw.length:
            raise http.client.IncompleteRead(b"", self._raw.length)
        self._complete = True
        return None

    def _unpacked(self, unpacker: Any, most: int) -> bytes | None:
        """Returns a piece of the unpacked body; a small body may unpack to a large one, so its size is
        bounded.
        """
        packed = unpacker.unconsumed_tail or self._arrived(_BLOCK)
        if unpacker.eof:
            return None
        if packed is None:
            if self._begun:
                raise zlib.error("the body ends before its content")
            return None
        self._begun = True
        return bytes(unpacker.decompress(packed, most))


class HttpClient:
    """HTTP client under one policy, for one thread. Keeps a connection to each server until `close`.

    `timeout` applies to the connection and to every read; `unpack` asks for compressed bodies.
    """

    def __init__(
        self,
        policy: ConnectionPolicy | None = None,
        *,
        timeout: float = 30,
        keep: bool = True,
        unpack: bool = False,
    ) -> None:
        self._policy = policy or ConnectionPolicy()
        self._timeout = timeout
        self._keep = keep
        self._unpack = unpack
        self._idle: dict[tuple[str, str], Connection] = {}

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections that were kept."""
        while self._idle:
            self._idle.popitem()[1].close()

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        tries: int = 1,
        most: int = MAX_ANSWER,
    ) -> Answer:
        """Sends a request and returns its answer, with at most `most` bytes of the body; without an answer,
        or after a 5xx, sends it `tries` times in all.

        Raises ServerUnavailable if the last try got no answer.
        """
        for left in range(tries - 1, 0, -1):
            with suppress(ServerUnavailable):
                answer = self._call(method, url, headers, body, most)
                if answer.status < 500:
                    return answer
            time.sleep(2.0 ** (tries - 1 - left))
        return self._call(method, url, headers, body, most)

    def _call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, most: int
    ) -> Answer:
        with self.open(method, url, headers=headers, body=body) as response:
            content = response.read_whole(most, time.monotonic() + self._timeout)
            return Answer(response.status, _joined(response.headers), content)

    def open(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Response:
        """Sends a request and returns the answer with its body still unread. Raises ServerUnavailable, and
        AddressRefused with the URL's host and port.
        """
        parts = _parts(url)
        origin = (parts.scheme, parts.netloc)
        try:
            connection = self._connection(parts)
        except ValueError as error:  # the environment's proxy is no address
            raise _unavailable(url, error, Fault.PROXY) from None
        try:
            connection.request(method, connection.target(parts), body, self._headers(headers, connection))
            raw = connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise _unavailable(url, error, _fault(error, connection.stage)) from None
        except AddressRefused:
            raise AddressRefused(parts.netloc) from None

        def ended(reusable: bool) -> None:
            if reusable and self._keep:
                self._idle[origin] = connection
            else:
                connection.close()

        return Response(url, raw, ended, unpack=self._unpack)

    def _connection(self, url: SplitResult) -> Connection:
        kept = self._idle.pop((url.scheme, url.netloc), None)
        if kept is not None:
            if not kept.is_dropped():
                return kept
            kept.close()
        return Connection(url, self._policy, self._timeout)

    def _headers(self, headers: Mapping[str, str], connection: Connection) -> dict[str, str]:
        usual = {
            "User-Agent": "deployer",
            "Accept-Encoding": "gzip" if self._unpack else "identity",
            "Connection": "keep-alive" if self._keep else "close",
        }
        return {**usual, **connection.proxy_headers(), **headers}


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout: float = 30,
    tries: int = 1,
) -> Answer:
    """Sends one request as `HttpClient.call` does, on a connection of its own. Raises ServerUnavailable."""
    client = HttpClient(timeout=timeout, keep=False)
    return client.call(method, url, headers=headers, body=body, tries=tries)


def open_stream(method: str, url: str, *, headers: Mapping[str, str], timeout: float = 30) -> Response:
    """Returns the answer with its body still unread; `timeout` applies to every read. Raises
    ServerUnavailable.
    """
    return HttpClient(timeout=timeout, keep=False).open(method, url, headers=headers)


def _parts(url: str) -> SplitResult:
    """Returns the URL's parts. Raises ServerUnavailable for anything but an HTTP address."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and parts.netloc.isprintable() and " " not in parts.netloc
    except ValueError as error:
        raise ServerUnavailable(f"{url!r} is not an HTTP address: {error}", fault=Fault.URL) from None
    if not usable:
        raise ServerUnavailable(f"{url!r} is not an HTTP address", fault=Fault.URL)
    return parts


def redirect_target(status: int, where: str | None, url: str) -> str:
    """Returns the address that an answer with this status and `Location` redirects to, empty if it does not.
    Raises ValueError for a `Location` that is no address.
    """
    if status not in _MOVED or not where:
        return ""
    # Header bytes arrive as Latin-1; spaces and letters beyond ASCII become percent signs, as in a browser.
    return urljoin(url, quote(where, encoding="iso-8859-1", safe=string.punctuation))


def _joined(headers: Message) -> dict[str, str]:
    """Returns the headers with names in lower case."""
    joined = dict[str, str]()
    for name, value in headers.items():
        known = joined.get(name.lower())
        joined[name.lower()] = value if known is None else f"{known}, {value}"
    return joined


def _fault(error: Exception, stage: Stage) -> Fault:
    if stage is Stage.PROXY:
        return Fault.PROXY
    if isinstance(error, TimeoutError):
        return Fault.CONNECT_TIMEOUT if stage is Stage.CONNECT else Fault.READ_TIMEOUT
    if isinstance(error, ssl.SSLError):
        return Fault.TLS
    return Fault.CONNECTION if isinstance(error, OSError | http.client.HTTPException) else Fault.REQUEST


def _body_fault(error: Exception) -> Fault:
    if isinstance(error, TimeoutError):
        return Fault.BODY_TIMEOUT
    if isinstance(error, ssl.SSLError):
        return Fault.TLS
    return Fault.ENCODING if isinstance(error, zlib.error) else Fault.BODY


def _unavailable(url: str, error: Exception, fault: Fault) -> ServerUnavailable:
    # The text of an error in a header's value has the value, which may be a login.
    cause = (str(error) if fault is not Fault.REQUEST else "") or type(error).__name__
    return ServerUnavailable(f"{urlsplit(url).netloc} does not answer: {cause}", fault=fault, reason=cause)
