"""Serving the receiver until it is told to stop. In: settings file. Out: exit code. The worker's threads live
in this process.

waitress, tuned: it reads a request whole before it takes a thread, so slow clients hold none (of the servers
measured it alone kept serving under 1,000 of them, at 32 MB); an event stream does hold one, hence 128
threads for 96 streams and everything else. It runs in a thread of its own, so that a signal, which Python
gives to the main thread, never comes into the middle of an answer.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from flask import Flask
from waitress.server import BaseWSGIServer, create_server

from deployer.bootstrap import Parts, build, config_path, share_memory, start_log
from deployer.core.errors import DeployerError
from deployer.web.app import MAX_BODY, create_app
from deployer.web.connections import connection_limit, keep_in_bounds
from deployer.web.streams import Streams
from deployer.web.threads import Threads

_log = logging.getLogger("deployer.server")
_THREADS = 128
_MAX_HEADER = 16_384
_PIECE = (
    65_536  # bytes read at once, and kept in memory of a body that is not whole yet; the rest waits in a file
)
_UNREAD = 262_144  # bytes of answers that a client may leave unread before its thread waits for it
_BACKLOG = 1024
_FINISH = 8.0  # seconds from a signal to the end; Docker kills after 10
_TELL = 2.0  # of these, kept for what waits for GitHub and for answers under way


def main(given: str = "") -> int:
    """Serves until SIGTERM or SIGINT."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _leave)
    share_memory()
    start_log()
    try:
        parts = build(config_path(given))
        with parts.only_one():
            return _serve(parts)
    except DeployerError as error:
        print(f"deployer cannot start: {error.diagnostics()}", file=sys.stderr)
        return 1
    except SystemExit:
        _log.info("stopping: nothing was started yet")
        return 0


def _serve(parts: Parts) -> int:
    app = create_app(parts.intake)
    try:
        server = _open(app, parts.config.listen)
    except OSError as error:
        print(f"deployer cannot listen on {parts.config.listen}: {error.strerror}", file=sys.stderr)
        return 1
    door = threading.Thread(target=server.run, name="http", daemon=True)
    try:
        parts.worker.start()
        door.start()
        _log.info("serving %s on %s", parts.config.url, parts.config.listen)
        while door.is_alive():  # not join(): interrupted, it takes the thread for ended
            time.sleep(1.0)
    except SystemExit:
        return _stop(parts, app, server)
    _log.error("the HTTP server ended by itself")
    return 1


def _open(app: Flask, listen: str) -> Any:
    """Listens from now on, answers from `run` on. Raises OSError."""
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
        clear_untrusted_proxy_headers=False,  # which proxy is believed is core.caller's decision
        outbuf_high_watermark=_UNREAD,
        outbuf_overflow=_UNREAD,
    )
    for one in list(sockets.values()):  # a name may stand for several addresses
        if isinstance(one, BaseWSGIServer):
            keep_in_bounds(one)
    return server


def _stop(parts: Parts, app: Flask, server: Any) -> int:
    """One budget for all. What arrives meanwhile is stored and answered; the next start deploys it."""
    deadline = time.monotonic() + _FINISH
    _log.info("stopping")
    streams = app.extensions[Streams.KEY]
    assert isinstance(streams, Streams)
    streams.close()
    idle = parts.worker.stop(_FINISH - _TELL)
    if not idle:
        _log.warning("a deployment is still running; the next start resumes it")
    told = parts.forge.close(max(0.0, deadline - time.monotonic()))
    server.task_dispatcher.shutdown(timeout=max(0.0, deadline - time.monotonic()))
    if idle and told and not server.task_dispatcher.threads:
        parts.store.close()
        return 0
    # Some thread still works: it keeps its database to the last moment, and Python would wait for its pool.
    logging.shutdown()
    os._exit(0)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Once: a second signal must not come into the middle of stopping."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: None)  # not SIG_IGN, which children would inherit
    raise SystemExit(0)
