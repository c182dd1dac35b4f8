"""Verbs that run a server: serve, or web and worker as two processes. In: parsed arguments. Out: exit code,
after a signal.
"""

from __future__ import annotations

import logging
import time

from deployer.bootstrap import Server, build, config_path, start_log
from deployer.cli.arguments import Verbs, add_verb
from deployer.core.reporting.log_fields import log_fields
from deployer.process import FINISH, end_work, leave, live, wait_while
from deployer.web.http_server.server import main, main_web

_log = logging.getLogger("deployer.server")


def add_serving(verbs: Verbs) -> None:
    add_verb(verbs, "serve", "run the receiver and the worker in one process", lambda a: main(a.config))
    add_verb(
        verbs, "web", "run only the receiver, without Docker; `worker` deploys", lambda a: main_web(a.config)
    )
    add_verb(
        verbs,
        "worker",
        "run only the worker, which deploys the jobs that `web` queued; opens no port",
        lambda a: _work(a.config),
    )


def _work(given: str) -> int:
    def run() -> int:
        start_log()
        parts = build(config_path(given))
        with parts.only_worker():
            return _until_told(parts)

    return live(run)


def _until_told(parts: Server) -> int:
    try:
        parts.worker.start()
        _log.info("working on the queue in %s", parts.config.store, extra=log_fields("working"))
        wait_while(lambda: True)
    except SystemExit:
        return _stop(parts)
    return 1


def _stop(parts: Server) -> int:
    deadline = time.monotonic() + FINISH
    _log.info("stopping", extra=log_fields("stopping"))
    return leave(parts.store.close, clean=end_work(parts.worker.stop, parts.github.close, deadline))
