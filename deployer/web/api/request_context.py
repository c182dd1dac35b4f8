"""The request and the app, as every view needs them. In: Flask's context. Out: plain values."""

from __future__ import annotations

from flask import Flask, current_app, request

from deployer.ingress.receiver import Receiver
from deployer.web.api.rate_limits import the_caller

_KEY = "deployer.intake"
_SCHEME = "bearer "


def bind(app: Flask, receiver: Receiver) -> None:
    app.extensions[_KEY] = receiver


def the_receiver() -> Receiver:
    """Returns the receiver for the current client."""
    bound = current_app.extensions[_KEY]
    assert isinstance(bound, Receiver)
    caller = the_caller()
    return bound.serve(caller.address if caller else "")


def raw_body() -> bytes:
    """Returns the unchanged bytes of the body. Must run before any access to `request.form`, which would
    leave none.
    """
    return request.get_data(cache=True)


def bearer() -> str | None:
    """Returns the token after `Authorization: Bearer`."""
    value = request.headers.get("Authorization", "")
    return value[len(_SCHEME) :].strip() if value.lower().startswith(_SCHEME) else None
