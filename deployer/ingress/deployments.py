"""Read access to one deployment and its events, and its confirmation. In: an API token, a deployment's id.
Out: the record, its events, or an error for a caller without the right to see it.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployer.core.auth.api_tokens import Right, Token
from deployer.core.errors import Forbidden, NotFound
from deployer.core.model import Deployment, Event
from deployer.core.release.confirmation import parse_confirmation
from deployer.ingress.receiver import Receiver, person


def read_deployment(receiver: Receiver, *, id: str, bearer: str | None) -> Deployment:
    """Returns the record to the holder of its read token or of an API token with the right to read its app.
    The answer to any other caller does not tell whether the deployment exists.
    """
    if bearer and receiver.store.read_tokens.may_read(id, bearer):
        return receiver.store.deployments.get(id)
    token = person(receiver, bearer)
    deployment = _visible(receiver, id, token)
    if not token.may(Right.READ, deployment.app):
        raise Forbidden(
            f"the token {token.name} may not read",
            hint="`deployer token create --can read` gives one that may",
        )
    return deployment


def _visible(receiver: Receiver, id: str, token: Token) -> Deployment:
    try:
        deployment = receiver.store.deployments.get(id)
    except NotFound:
        deployment = None
    if deployment is None or deployment.app != token.app:
        raise NotFound("no such deployment that this token may read", hint="check the id and the token's app")
    return deployment


def confirm(receiver: Receiver, *, id: str, bearer: str | None, raw: bytes) -> Deployment:
    """Records the external confirmation that a serving release may stay, or must not. Accepts the
    deployment's read token or an API token with the right to deploy. Raises NotWaiting.
    """
    verdict, reason = parse_confirmation(raw)
    if not (bearer and receiver.store.read_tokens.may_read(id, bearer)):
        _may_confirm(receiver, id, person(receiver, bearer))
    return receiver.store.confirmations.record_verdict(id, verdict, reason, receiver.clock.now())


def _may_confirm(receiver: Receiver, id: str, token: Token) -> None:
    deployment = _visible(receiver, id, token)
    if not token.may(Right.DEPLOY, deployment.app):
        raise Forbidden(
            f"the token {token.name} may not confirm",
            hint="`deployer token create --can deploy` gives one that may",
        )


def read_events(receiver: Receiver, deployment: Deployment, after: int) -> Sequence[Event]:
    """Returns the events of a deployment that the caller may read."""
    return receiver.store.events.read(deployment.id, after)
