"""The receiver's server process. In: settings file. Out: exit code after a signal. The worker's threads run
in this process, or in one of their own (`deployer worker`).

waitress, tuned: it reads a request completely before it takes a thread, so slow clients hold none (of the
servers measured it alone kept serving under 1,000 of them, at 32 MB); an event stream does hold one, hence
128 threads for 96 streams and everything else. It runs in a thread of its own, so that a signal, which Python
gives to the main thread, never interrupts an answer.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Any

from flask import Flask
from waitress.server import BaseWSGIServer, create_server

from deployer.bootstrap import (
    Server,
    WebServer,
    build,
    build_web_server,
    config_path,
    share_memory,
    start_log,
)
from deployer.core.reporting.log_fields import log_fields
from deployer.process import FINISH, end_work, leave, live, wait_while
from deployer.web.api.event_streams import Streams
from deployer.web.api.health import HAS_ENGINE, HAS_WORKER
from deployer.web.app import MAX_BODY, create_app
from deployer.web.http_server.connections import connection_limit, keep_in_bounds
from deployer.web.http_server.thread_pool import Threads

_log = logging.getLogger("deployer.server")
_THREADS = 128
_MAX_HEADER = 16_384
_PIECE = (
    65_536  # bytes read at once, and bytes of an incomplete body kept in memory; the rest waits in a file
)
_UNREAD = 262_144  # bytes of answers that a client may leave unread before its thread waits for it
_BACKLOG = 1024


def main(given: str = "") -> int:
    """Serves and deploys until SIGTERM or SIGINT."""

    def run() -> int:
        share_memory()
        start_log()
        parts = build(config_path(given))
        with parts.only_web(), parts.only_worker():
            return _serve(parts, parts)

    return live(run)


def main_web(given: str = "") -> int:
    """Serves until SIGTERM or SIGINT, without an engine: another process deploys the queued jobs."""

    def run() -> int:
        share_memory()
        start_log()
        web_server = build_web_server(config_path(given))
        with web_server.only_web():
            return _serve(web_server, None)

    return live(run)


def _serve(web_server: WebServer, parts: Server | None) -> int:
    app = create_app(web_server.receiver)
    app.extensions[HAS_WORKER] = web_server.has_worker
    if parts:
        app.extensions[HAS_ENGINE] = lambda: parts.worker.reaches
    try:
        server = _open(app, web_server.config.listen)
    except OSError as error:
        told = f"deployer cannot listen on {web_server.config.listen}: {error.strerror} [cannot-listen]"
        print(f"{told}\nhint: server.listen in the settings names another address", file=sys.stderr)
        return 1
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    try:
        if parts:
            parts.worker.start()
        thread.start()
        url, listen = web_server.config.url, web_server.config.listen
        _log.info("serving %s on %s", url, listen, extra=log_fields("serving", url=url, listen=listen))
        wait_while(thread.is_alive)
    except SystemExit:
        return _stop(web_server, parts, app, server)
    _log.error("the HTTP server ended by itself", extra=log_fields("bug"))
    return 1


def _open(app: Flask, listen: str) -> Any:
    """Opens the listening sockets; `run` then answers. Raises OSError."""
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        _dispatcher=Threads(_THREADS),
        listen=listen,
        connection_limit=connection_limit(),
        backlog=_BACKLOG,
        channel_timeout=20,
        cleanup_interval=1,
        max_request_body_size=MAX_BODY,
        recv_bytes=_PIECE,
        inbuf_overflow=_PIECE,
        max_request_header_size=_MAX_HEADER,
        asyncore_use_poll=True,
        ident="",
        clear_untrusted_proxy_headers=False,  # core.http.client_address decides which proxy to trust
        outbuf_high_watermark=_UNREAD,
        outbuf_overflow=_UNREAD,
    )
    for one in list(sockets.values()):  # a name may resolve to several addresses
        if isinstance(one, BaseWSGIServer):
            keep_in_bounds(one)
    return server


def _stop(web_server: WebServer, parts: Server | None, app: Flask, server: Any) -> int:
    """Stops streams, worker and server within one time budget. Requests that arrive meanwhile are stored and
    answered; the next start deploys them.
    """
    deadline = time.monotonic() + FINISH
    _log.info("stopping", extra=log_fields("stopping"))
    streams = app.extensions[Streams.KEY]
    assert isinstance(streams, Streams)
    streams.close()
    ended = end_work(parts.worker.stop, parts.github.close, deadline) if parts else True
    server.task_dispatcher.shutdown(timeout=max(0.0, deadline - time.monotonic()))
    return leave(web_server.store.close, clean=ended and not server.task_dispatcher.threads)
