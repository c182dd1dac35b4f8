"""Serving the receiver until it is told to stop. In: settings file. Out: exit code. The worker's threads live
in this process.

waitress, tuned: it reads a request whole before it takes a thread, so slow clients hold none (of the servers
measured it alone kept serving under 1,000 of them, at 32 MB); an event stream does hold one, hence 128
threads for 96 streams and everything else.
"""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

from waitress.server import create_server

from deployer.bootstrap import Parts, build, config_path, start_log
from deployer.core.errors import DeployerError
from deployer.web.app import MAX_BODY, create_app

_log = logging.getLogger("deployer.server")
_THREADS = 128
_MAX_HEADER = 16_384
_FINISH = (
    8.0  # seconds a running deployment gets at SIGTERM; Docker kills after 10, and the next start resumes it
)


def main(given: str = "") -> int:
    """Serves until SIGTERM or SIGINT."""
    start_log()
    try:
        parts = build(config_path(given))
        with parts.only_one():
            parts.worker.start()
            return _serve(parts)
    except DeployerError as error:
        print(f"deployer cannot start: {error.diagnostics()}", file=sys.stderr)
        return 1


def _serve(parts: Parts) -> int:
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _leave)
    try:
        server = create_server(
            create_app(parts.intake),
            listen=parts.config.listen,
            threads=_THREADS,
            connection_limit=1000,
            channel_timeout=20,
            cleanup_interval=5,
            max_request_body_size=MAX_BODY,
            max_request_header_size=_MAX_HEADER,
            asyncore_use_poll=True,
            ident="",
        )
    except OSError as error:
        print(f"deployer cannot listen on {parts.config.listen}: {error.strerror}", file=sys.stderr)
        return 1
    _log.info("serving %s on %s", parts.config.url, parts.config.listen)
    try:
        server.run()
    except SystemExit:
        _log.info("stopping")
    server.close()
    if not parts.worker.stop(_FINISH):
        _log.warning("a deployment is still running; the next start resumes it")
    parts.close()
    return 0


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
