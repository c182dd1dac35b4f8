"""What every view needs of the request and the app. In: Flask's context. Out: plain values."""

from __future__ import annotations

from flask import Flask, current_app, request

from deployer.ingress.receiver import Intake
from deployer.web.api.rate_limits import the_caller

_KEY = "deployer.intake"
_SCHEME = "bearer "


def bind(app: Flask, intake: Intake) -> None:
    app.extensions[_KEY] = intake


def the_intake() -> Intake:
    """The intake, for whoever is being served."""
    bound = current_app.extensions[_KEY]
    assert isinstance(bound, Intake)
    caller = the_caller()
    return bound.serve(caller.address if caller else "")


def raw_body() -> bytes:
    """The bytes as they came. Must run before anything touches `request.form`, which would leave none."""
    return request.get_data(cache=True)


def bearer() -> str | None:
    """What follows `Authorization: Bearer`."""
    value = request.headers.get("Authorization", "")
    return value[len(_SCHEME) :].strip() if value.lower().startswith(_SCHEME) else None
