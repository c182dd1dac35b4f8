"""Cross-origin access for pages in a browser. In: the origins that the settings name. Out: headers.

Closed by default. A named origin may call everything below /api/v1 and /health with a bearer token. The
answers never allow cookies, and GitHub's own address, /webhook, never allows any page.
https://fetch.spec.whatwg.org
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, request

_MAY_SEND = "Authorization, Content-Type, Last-Event-ID"
_MAY_READ = "Retry-After, WWW-Authenticate"
_KEPT = "600"  # seconds for which a browser may cache the preflight answer


def open_to(app: Flask, origins: Sequence[str]) -> None:
    """Allows pages of exactly these origins. Without origins the answers stay unchanged."""

    def preflight() -> Response | None:
        """Answers a browser's preflight request, which carries no token."""
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
