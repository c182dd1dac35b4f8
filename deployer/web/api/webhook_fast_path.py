"""The fast path of a delivery. In: WSGI calls. Out: the answer to an accepted delivery; every other request
goes on to Flask.

Routing, contexts and response objects take as long as checking and storing a delivery, and GitHub's calls
need none of them. A delivery that is refused or fails here goes on with its error, and the view of the same
address raises it, so that all failures are handled in one place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from deployer.ingress.receiver import Receipt, Receiver, accept_delivery
from deployer.web.api.rate_limits import Limits
from deployer.web.api.responses import HARDENED, receipt_table

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WEBHOOK = "/webhook"
FAILED = "deployer.failed"  # key in a request's environment: the exception that the view raises
_STATUS = {202: "202 Accepted", 200: "200 OK"}
_HEADERS = {
    name: "HTTP_" + name.upper().replace("-", "_")
    for name in ("X-GitHub-Delivery", "X-GitHub-Event", "X-Github-Hook-Installation-Target-Id")
}


def shorten(flask: WSGIApplication, receiver: Receiver, limits: Limits, most: int) -> WSGIApplication:
    """Wraps the Flask app with the fast path. `most`: bytes of the largest body that it reads."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        raw = _body(environ, most)
        if raw is None:
            return flask(environ, start)
        try:
            caller = limits.let_in(environ)
            headers = {name: environ.get(key, "") for name, key in _HEADERS.items()}
            headers["Content-Type"] = environ.get("CONTENT_TYPE", "")
            receipt = accept_delivery(
                receiver.serve(caller.address),
                headers=headers,
                raw=raw,
                signature=environ.get("HTTP_X_HUB_SIGNATURE_256"),
            )
        except Exception as error:
            environ[FAILED] = error
        else:
            return _accepted(receipt, receiver.config.url, start)
        return flask(environ, start)

    return answer


def _accepted(receipt: Receipt, server: str, start: StartResponse) -> Iterable[bytes]:
    status, table = receipt_table(receipt, server)
    body = json.dumps(table).encode() + b"\n"
    length = ("Content-Length", str(len(body)))
    start(_STATUS[status], [("Content-Type", "application/json"), length, *HARDENED.items()])
    return [body]


def _body(environ: WSGIEnvironment, most: int) -> bytes | None:
    """Returns the complete body of a webhook delivery; None for every other request, with its body still
    unread.
    """
    length = environ.get("CONTENT_LENGTH", "")
    if (
        environ["PATH_INFO"] != WEBHOOK
        or environ["REQUEST_METHOD"] != "POST"
        or "HTTP_CONTENT_ENCODING" in environ
        or not (length.isascii() and length.isdecimal() and int(length) <= most)
    ):
        return None
    raw: bytes = environ["wsgi.input"].read(int(length))
    if len(raw) != int(length):
        environ["wsgi.input"] = BytesIO(raw)
        return None
    return raw
