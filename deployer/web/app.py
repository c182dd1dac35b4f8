"""Assembly of the Flask app. In: the receiver. Out: a WSGI app that a server can serve."""

from __future__ import annotations

from flask import Flask, Response, request

from deployer.core.webhooks.delivery import ContentTypeRejected
from deployer.ingress.receiver import Receiver
from deployer.web.api.cors import open_to
from deployer.web.api.deployments import deployments
from deployer.web.api.error_handlers import register_errors
from deployer.web.api.event_streams import StreamLimits, Streams
from deployer.web.api.health import status
from deployer.web.api.rate_limits import limit
from deployer.web.api.request_context import bind
from deployer.web.api.responses import HARDENED
from deployer.web.api.webhook import hooks
from deployer.web.api.webhook_fast_path import shorten

MAX_BODY = 5 * 1024 * 1024  # GitHub's real deliveries have 3 to 31 kB


def create_app(receiver: Receiver, *, streams: StreamLimits | None = None) -> Flask:
    """Creates the WSGI app. Every answer but a stream is JSON."""
    app = Flask("deployer", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes = app.url_map.merge_slashes = False  # no redirects: they would be HTML
    bind(app, receiver)
    app.extensions[Streams.KEY] = Streams(receiver, streams or StreamLimits())
    for blueprint in (hooks, deployments, status):
        app.register_blueprint(blueprint)
    limits = limit(app, receiver.config, receiver.clock)
    open_to(app, receiver.config.cors_origins)
    app.before_request(_refuse_encoded)
    app.after_request(_harden)
    register_errors(app)
    app.wsgi_app = shorten(app.wsgi_app, receiver, limits, MAX_BODY)  # type: ignore[method-assign,assignment]
    return app


def _refuse_encoded() -> None:
    """Refuses a compressed body: its bytes are not the signed ones, and it may unfold to any size."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ContentTypeRejected("Content-Encoding: the body must be sent uncompressed")


def _harden(answer: Response) -> Response:
    answer.headers.update(HARDENED)
    return answer
