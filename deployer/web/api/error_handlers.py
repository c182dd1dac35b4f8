"""Error handlers of the HTTP interface. In: an exception. Out: JSON `{error, message, hint}` with its status.

A bug answers 500 with a short id that the log repeats beside the traceback. The client never sees anything
else of it.
"""

from __future__ import annotations

import logging
import math
import secrets

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from deployer.core.errors import DeployerError, TooManyRequests
from deployer.core.reporting.log_fields import log_fields
from deployer.ingress.receiver import record_refusal
from deployer.web.api.rate_limits import the_limits
from deployer.web.api.request_context import the_receiver

_HINTS = {
    404: "docs/reference/api.md lists every path",
    405: "docs/reference/api.md lists every path and its methods",
    413: "the server takes bodies of up to 5 MiB",
}
_RETRY_AFTER = "10"  # seconds
_log = logging.getLogger("deployer.web")


def register_errors(app: Flask) -> None:
    app.register_error_handler(DeployerError, _expected)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _bug)


def _expected(error: DeployerError) -> Response:
    error = the_limits().failed(error)
    status = error.http_status
    _tell(error, status)
    if status in (401, 403):
        record_refusal(the_receiver(), error, _place(), request.path)
    answer = _answer(status, error.code, str(error), error.hint)
    if status == 503:
        answer.headers["Retry-After"] = _RETRY_AFTER
    if isinstance(error, TooManyRequests):
        answer.headers["Retry-After"] = str(math.ceil(error.after))
    if error.code == "token-rejected":
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _tell(error: DeployerError, status: int) -> None:
    """Logs the failure, up to a limit per minute: a client may cause any number of refusals."""
    kind = "refused" if status < 500 else "failed"
    told = log_fields(kind, code=error.code, http_status=status, origin=request.remote_addr)
    words = f"{error} [{error.code}]"
    untold = None if status == 429 else the_limits().line(kind)
    if untold:
        words += f" ({untold} earlier ones were not logged)"
    level = logging.DEBUG if untold is None else logging.ERROR if status >= 500 else logging.INFO
    _log.log(level, "%s %r: %d %r", request.method, request.path, status, words, extra=told)


def _place() -> str:
    """Returns method and route, such as `GET /api/v1/deployments/<id>`. A path with ids would count as a new
    entry each time.
    """
    return f"{request.method} {request.url_rule.rule if request.url_rule else request.path}"


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    answer = _answer(status, error.name.lower().replace(" ", "-"), error.name, _HINTS.get(status, ""))
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def _bug(error: Exception) -> Response:
    id = secrets.token_hex(4)
    said = log_fields("bug", id=id)
    _log.error("%s %r: 500, error %s", request.method, request.path, id, exc_info=error, extra=said)
    return _answer(500, "internal", f"the deployer broke; its log has the details under {id}", "")


def _answer(status: int, code: str, message: str, hint: str) -> Response:
    answer = jsonify({"error": code, "message": message, "hint": hint})
    answer.status_code = status
    return answer
