"""Which pages in a browser may read the answers. In: the origins that the settings name. Out: headers.

Closed by default. A named origin may call everything below /api/v1 and /health with a bearer token; cookies
are never asked for, and GitHub's own address, /webhook, is no page's business. https://fetch.spec.whatwg.org
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, request

_MAY_SEND = "Authorization, Content-Type, Last-Event-ID"
_MAY_READ = "Retry-After, WWW-Authenticate"
_KEPT = "600"  # seconds for which a browser need not ask again


def open_to(app: Flask, origins: Sequence[str]) -> None:
    """Lets pages of exactly these origins in; with none the answers stay as they are."""

    def preflight() -> Response | None:
        """A browser's question, which carries no token."""
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or not asked or not _allowed(origins):
            return None
        answer = Response(status=204)
        answer.headers["Access-Control-Allow-Methods"] = "GET, POST"
        answer.headers["Access-Control-Allow-Headers"] = _MAY_SEND
        answer.headers["Access-Control-Max-Age"] = _KEPT
        return answer

    def mark(answer: Response) -> Response:
        if origins and _shared():
            answer.vary.add("Origin")
        if _allowed(origins):
            answer.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            answer.headers["Access-Control-Expose-Headers"] = _MAY_READ
        return answer

    app.before_request(preflight)
    app.after_request(mark)


def _allowed(origins: Sequence[str]) -> bool:
    return _shared() and request.headers.get("Origin", "") in origins


def _shared() -> bool:
    return request.path == "/health" or request.path.startswith("/api/v1/")
