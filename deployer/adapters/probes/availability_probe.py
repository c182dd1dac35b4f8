"""Availability probes of published ports while a deploy runs: every 20 ms for each endpoint with a budget,
for the others as often as the machine can bear. In: endpoints. Out: the result of each request. Never
retries, and never probes an address that is not this machine's: a Compose file names addresses, and the
request would come from the server.

One thread for all endpoints, with sockets that never block: a request costs about 0.1 ms of the processor.
Every request has its own connection, as a new user has.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deployer.core.compose.endpoints import Endpoint
from deployer.core.http.response_status import status_of
from deployer.core.rollout.availability import Sample

_EVERY = 0.02
# Over all endpoints without a budget: the probe's own load must stay unnoticed.
_MOST_A_SECOND = 50.0 * (os.cpu_count() or 1)
_PATIENCE = 2.0  # seconds without an answer until a request counts as lost
_MOST_OPEN = 400  # unanswered requests over all endpoints: descriptors are shared by the process
_STALL = 0.05  # seconds that this thread may be delayed; more is subtracted from a request's time
_QUIET = 0.1  # after this silence a TCP connection counts as accepted
_IN_PROGRESS = 115  # EINPROGRESS
# Connections are closed by a reset: otherwise the engine's host remembers each for two minutes, and the
# engine reads all of them whenever it starts or stops a container, 5 ms for a thousand.
_BY_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Probe:
    endpoint: Endpoint
    at: float
    socket: socket.socket
    stalled: float  # the thread's total delay when the request began
    connected: float = 0.0
    head: bytes = b""
    shaking: bool = False  # TLS handshake in progress


@dataclass
class AvailabilityProbe:
    """Availability probe; implements `ports.target.Watch`, from `start` to `stop`."""

    endpoints: Sequence[Endpoint]
    _samples: dict[Endpoint, list[Sample]] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(init=False)  # created and closed by the thread

    def __post_init__(self) -> None:
        self._samples = {endpoint: [] for endpoint in self.endpoints}
        self._asked = [endpoint for endpoint in self.endpoints if is_here(endpoint.host)]
        self._over = threading.Event()
        self._open: dict[_Probe, None] = {}  # oldest first
        self._waiting = dict.fromkeys(self.endpoints, 0)
        self._most = max(1, min(50, _MOST_OPEN // max(1, len(self._asked))))  # per endpoint
        self._stalled = 0.0
        self._thread = threading.Thread(target=self._run, name="knocker", daemon=True)

    def start(self) -> AvailabilityProbe:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Signals the thread, which ends by itself within a moment; the caller does not wait."""
        self._over.set()

    def samples(self) -> Mapping[Endpoint, Sequence[Sample]]:
        """Returns the results so far; requests without an answer yet are missing."""
        return {endpoint: tuple(found) for endpoint, found in self._samples.items()}

    def _run(self) -> None:
        self._selector = selectors.DefaultSelector()
        try:
            self._ask_all()
        finally:
            for probe in list(self._open):
                self._close(probe)
            self._selector.close()

    def _ask_all(self) -> None:
        unbound = sum(not endpoint.budget.given for endpoint in self._asked)
        apart = max(1, math.ceil(unbound / (_MOST_A_SECOND * _EVERY)))  # rounds
        due, turn = time.monotonic(), 0
        while not self._over.is_set():
            if time.monotonic() >= due:
                due, turn = max(due + _EVERY, time.monotonic() - _EVERY), turn + 1
                for number, endpoint in enumerate(self._asked):
                    its = endpoint.budget.given or (turn + number) % apart == 0
                    if its and self._waiting[endpoint] < self._most and len(self._open) < _MOST_OPEN:
                        self._probe(endpoint)
            self._attend(max(0.0, due - time.monotonic()))

    def _probe(self, endpoint: Endpoint) -> None:
        """Sends a request. A request that cannot be sent (no descriptor left, invalid port) counts as
        unanswered.
        """
        begun = time.monotonic()
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        try:
            probe = _Probe(endpoint, begun, socket.socket(family, socket.SOCK_STREAM), self._stalled)
        except OSError:
            self._samples[endpoint].append(Sample(begun, 0.0, False))
            return
        self._open[probe] = None
        self._waiting[endpoint] += 1
        try:
            probe.socket.setblocking(False)
            if (error := probe.socket.connect_ex((endpoint.host, endpoint.port))) not in (0, _IN_PROGRESS):
                raise OSError(error, os.strerror(error))
            self._selector.register(probe.socket, selectors.EVENT_WRITE, probe)
        except (OSError, ValueError, OverflowError):
            self._end(probe, good=False)

    def _attend(self, wait: float) -> None:
        begun = time.monotonic()
        ready = self._selector.select(wait)
        late = time.monotonic() - begun - wait
        self._stalled += late if late > _STALL else 0.0
        for key, events in ready:
            try:
                if events & selectors.EVENT_WRITE:
                    self._connected(key.data)
                elif key.data.shaking:
                    self._shake_hands(key.data)
                else:
                    self._answered(key.data)
            except ssl.SSLWantReadError:
                continue
            except OSError:
                self._end(key.data, good=False)
        self._expire(time.monotonic())

    def _connected(self, probe: _Probe) -> None:
        if error := probe.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        probe.connected = time.monotonic()
        self._selector.unregister(probe.socket)
        if probe.endpoint.tls:
            probe.shaking = True
            probe.socket = _TLS.wrap_socket(probe.socket, do_handshake_on_connect=False)
        self._selector.register(probe.socket, selectors.EVENT_READ, probe)
        if probe.shaking:
            self._shake_hands(probe)
        elif probe.endpoint.http:
            probe.socket.send(_request(probe.endpoint))

    def _shake_hands(self, probe: _Probe) -> None:
        """Advances the TLS handshake. Its messages are small: they are sent at once, and only answers are
        awaited.
        """
        assert isinstance(probe.socket, ssl.SSLSocket)
        probe.socket.do_handshake()
        probe.shaking = False
        probe.socket.send(_request(probe.endpoint))

    def _answered(self, probe: _Probe) -> None:
        got = probe.socket.recv(4096)
        probe.head += got
        if not probe.endpoint.http:
            self._end(probe, good=bool(got))
        elif (status := status_of(probe.head, whole=not got)) is not None:
            self._end(probe, good=200 <= status < 500)  # a login page or a redirect is an answer

    def _expire(self, now: float) -> None:
        for probe in list(self._open):
            quiet = bool(probe.connected) and not probe.endpoint.http and now - probe.connected > _QUIET
            if quiet or now - probe.at - (self._stalled - probe.stalled) > _PATIENCE:
                self._end(probe, good=quiet)

    def _end(self, probe: _Probe, *, good: bool) -> None:
        tcp = probe.connected and not probe.endpoint.http
        ended = probe.connected if tcp else time.monotonic()
        self._close(probe)
        self._samples[probe.endpoint].append(Sample(probe.at, ended - probe.at, good))

    def _close(self, probe: _Probe) -> None:
        del self._open[probe]
        self._waiting[probe.endpoint] -= 1
        with contextlib.suppress(KeyError, ValueError):  # refused at once: never registered
            self._selector.unregister(probe.socket)
        with contextlib.suppress(OSError), probe.socket:
            if probe.head and probe.endpoint.http:  # only then: other servers may log a reset as an error
                probe.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BY_RESET)


def is_here(host: str) -> bool:
    """True if the address is one of this machine's. Other spellings of an address (`::ffff:127.0.0.1`) count
    as foreign: conflicts of host ports are judged by the address as written.
    """
    try:
        address = ipaddress.ip_address(host)
        with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except (OSError, ValueError):
        return False
    mapped = address.version == 6 and (address.ipv4_mapped or address.scope_id)
    return not (mapped or address.is_unspecified or address.is_multicast)


def _trusting() -> ssl.SSLContext:
    """Returns a TLS context without verification: the probe measures availability, not the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


_TLS = _trusting()


def _request(endpoint: Endpoint) -> bytes:
    lines = (
        f"GET {endpoint.path} HTTP/1.1",
        f"Host: {endpoint.authority or f'{endpoint.host}:{endpoint.port}'}",
        "User-Agent: deployer-measure",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode()
