"""The receiver: everything that arrives, on its way to the queue (verify, parse, decide, enqueue). In: raw
bytes and their proof of origin. Out: a receipt.

Trusts nothing before it is verified; returns a receipt only after the store has committed. Never knows HTTP
or Docker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

from deployer.core.audit.events import LOCAL, refusal
from deployer.core.auth.api_tokens import PERSON_PREFIX, Token
from deployer.core.auth.authorization import (
    authorise_claims,
    authorise_person,
    authorise_signed,
    previous_serves,
    require_right,
)
from deployer.core.config.settings import Config
from deployer.core.errors import DeployerError, NotFound, StoreUnavailable, TokenRejected
from deployer.core.model import DeployJob, Deployment, Kind, Trigger
from deployer.core.ports.arrivals import Arrival, Proof
from deployer.core.ports.clock import Clock
from deployer.core.ports.receiver_store import ReceiverStore
from deployer.core.queue.delegated_task import TaskKind
from deployer.core.queue.supersede import Outcome
from deployer.core.requests.deploy_request import audience_of, parse_request
from deployer.core.requests.signed_request import LIFETIME, judge_stamp
from deployer.core.rollout.changes import Preview
from deployer.core.webhooks.delivery import Delivery, parse_delivery
from deployer.core.webhooks.secrets import WebhookSecrets
from deployer.core.webhooks.triggers import Deploy, Ignore, ImageAnnouncement, decide

_PROOF_MARGIN = (
    60.0  # seconds past a token's end until its id may be forgotten; more than the verifier's leeway
)

_READERS = 2  # bodies read at once: more would hold memory and not be faster, as Python runs one thread
_PLANNERS = 2  # plans made at once: each runs Compose and holds a thread of the receiver
_ABOUT = "X-Github-Hook-Installation-Target-Id"  # a repository's id in its webhook; not signed


@dataclass(frozen=True)
class Receiver:
    """The dependencies of the receiver's use cases. `secrets`: app → its webhook secrets, newest first."""

    config: Config
    store: ReceiverStore
    verify_token: Callable[[str, str], Mapping[str, object]]  # token, audience → claims; raises TokenRejected
    secrets: Mapping[str, Sequence[bytes]] = field(repr=False)
    clock: Clock
    preview: Callable[[DeployJob], Preview] | None = None  # in a process with an engine
    resolve_announcement: Callable[[Sequence[DeployJob]], DeployJob | str] | None = (
        None  # where Compose and a registry are
    )
    reading: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(_READERS), repr=False, compare=False
    )

    planning: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(_PLANNERS), repr=False, compare=False
    )

    origin: str = LOCAL  # the client's address

    @cached_property
    def webhook_secrets(self) -> WebhookSecrets:
        return WebhookSecrets(
            self.secrets, {name: app.repository_id for name, app in self.config.apps.items()}
        )

    def serve(self, origin: str) -> Receiver:
        """Returns a copy of the receiver for one client; the webhook secrets, prepared once, are shared."""
        assert self.webhook_secrets is not None
        served = copy(self)
        object.__setattr__(served, "origin", origin)
        return served


@dataclass(frozen=True)
class Receipt:
    """The result of accepting a delivery or a request. `read_token` allows its holder to read the deployment;
    empty for deliveries.
    """

    outcome: Outcome
    deployment: Deployment | None
    reason: str
    read_token: str = field(default="", repr=False)


def accept_delivery(
    receiver: Receiver, *, headers: Mapping[str, str], raw: bytes, signature: str | None
) -> Receipt:
    """Accepts a webhook delivery. Raises SignatureMismatch before anything of the body is read."""
    with receiver.reading:
        signers = receiver.webhook_secrets.signers(raw, signature, headers.get(_ABOUT, ""))
        delivery = parse_delivery(headers, raw)
        decision = _decide(receiver, delivery, signers)
        delivery = replace(delivery, payload={})  # no longer needed: saves memory while it waits to be stored
    return _audit_event(receiver, delivery, decision)


def accept_recovered(receiver: Receiver, delivery: Delivery) -> Receipt:
    """Accepts a delivery that GitHub's API reports as sent here and unanswered. Only apps that take webhooks
    see it.
    """
    takers = [name for name, secrets in receiver.secrets.items() if secrets]
    return _audit_event(receiver, replace(delivery, payload={}), _decide(receiver, delivery, takers))


def _decide(
    receiver: Receiver, delivery: Delivery, apps: Iterable[str]
) -> Deploy | Ignore | ImageAnnouncement:
    """Decides which deploy the delivery starts among these apps; other apps are not visible to it."""
    visible = {name: receiver.config.apps[name] for name in sorted(apps) if name in receiver.config.apps}
    return decide(delivery, replace(receiver.config, apps=visible))


def _audit_event(
    receiver: Receiver, delivery: Delivery, decision: Deploy | Ignore | ImageAnnouncement
) -> Receipt:
    if isinstance(decision, ImageAnnouncement):
        if receiver.resolve_announcement is None:
            return _hand_over(receiver, decision, delivery)
        decision = _look_up(receiver.resolve_announcement, decision)
    if isinstance(decision, Ignore):
        return _ignore(receiver, delivery, decision.reason)
    receipt = _enqueue(receiver, decision.job, delivery)
    return replace(receipt, reason="; ".join(filter(None, (receipt.reason, decision.note))))


def _look_up(
    resolve: Callable[[Sequence[DeployJob]], DeployJob | str], hint: ImageAnnouncement
) -> Deploy | Ignore:
    found = resolve(hint.jobs)
    return Ignore(found) if isinstance(found, str) else Deploy(found)


def _hand_over(receiver: Receiver, hint: ImageAnnouncement, delivery: Delivery) -> Receipt:
    """Delegates an image announcement to the process with Compose and the registry login. That process queues
    the release that the image completes.
    """
    jobs = [replace(job, origin=receiver.origin) for job in hint.jobs]
    receiver.store.tasks.hand_over(TaskKind.HINT, jobs, receiver.clock.now(), delivery)
    return Receipt(
        Outcome.IGNORED, None, "the worker checks if the image completes a release and then deploys it"
    )


def accept_request(
    receiver: Receiver, *, raw: bytes, bearer: str | None, signature: str | None = None
) -> Receipt:
    """Accepts a deploy request: from the action with an OIDC token that fits these bytes only or, without a
    token, signed with a webhook secret; or from a person with an API token.
    """
    if bearer is None and signature is not None:
        return _accept_signed(receiver, raw, signature)
    if bearer is not None and bearer.startswith(PERSON_PREFIX):
        token = person(receiver, bearer)
        return _follow(
            receiver, _enqueue(receiver, authorise_person(token, parse_request(raw), receiver.config))
        )
    if not bearer:
        raise TokenRejected(
            "there is no bearer token", hint="the workflow's job needs `permissions: id-token: write`"
        )
    claims = receiver.verify_token(bearer, audience_of(receiver.config.url, raw))
    job = authorise_claims(claims, parse_request(raw), receiver.config)
    return _follow(receiver, _enqueue(receiver, job, proof_of(claims)))


def _accept_signed(receiver: Receiver, raw: bytes, signature: str) -> Receipt:
    signers = receiver.webhook_secrets.signers(raw, signature)
    stamp = judge_stamp(raw, receiver.config.url, receiver.clock.now())
    job = authorise_signed(signers, parse_request(raw), receiver.config)
    proof = Proof(f"signed {stamp.nonce}", stamp.at + LIFETIME + _PROOF_MARGIN)
    return _follow(receiver, _enqueue(receiver, job, proof))


def proof_of(claims: Mapping[str, object]) -> Proof:
    return Proof(str(claims["jti"]), float(str(claims["exp"])) + _PROOF_MARGIN)


def accept_manual(
    receiver: Receiver,
    *,
    principal: Token,
    app: str,
    environment: str,
    kind: Kind,
    release: str = "",
    trigger: Trigger = Trigger.API,
    run_tasks: bool = False,
) -> Receipt:
    """Accepts a person's redeploy or rollback of `release`, or of the release that the kind implies.
    `run_tasks`: the release's one-shot tasks run even if it was deployed before.
    """
    require_right(principal, kind, app)
    receiver.config.app(app).environment(environment)
    wanted = release or _meant(receiver, app, environment, kind)
    revision = receiver.store.releases.revision_of(app, wanted)
    job = DeployJob(app, environment, kind, trigger, principal.name, revision=revision, release=wanted)
    job = replace(job, run_tasks=run_tasks)
    return _follow(receiver, _enqueue(receiver, job))


def person(receiver: Receiver, bearer: str | None) -> Token:
    """Returns the API token that a person sent. Raises TokenRejected."""
    token = receiver.store.tokens.find(bearer) if bearer else None
    if token is None:
        raise TokenRejected("the token is missing or not known", hint="`deployer token create` makes one")
    if token.expired(receiver.clock.now()):
        raise TokenRejected(
            f"the token {token.name} has expired", hint="`deployer token create` makes a new one"
        )
    return token


def record_refusal(receiver: Receiver, error: DeployerError, place: str, path: str) -> None:
    """Writes a refusal into the audit log. A store that cannot take it must not change the answer."""
    act = refusal(receiver.origin, error.code, str(error), place, path)
    with suppress(StoreUnavailable):
        receiver.store.audit.record_refusal(act, receiver.clock.now())


def _ignore(receiver: Receiver, delivery: Delivery, reason: str) -> Receipt:
    receiver.store.deliveries.record_ignored(delivery, reason, receiver.clock.now())
    return Receipt(Outcome.IGNORED, None, reason)


def _enqueue(receiver: Receiver, job: DeployJob, arrival: Arrival | None = None) -> Receipt:
    deployment, outcome = receiver.store.queue.enqueue(
        replace(job, origin=receiver.origin), receiver.clock.now(), arrival
    )
    return Receipt(outcome, deployment, _reason(outcome, job, deployment))


def _follow(receiver: Receiver, receipt: Receipt) -> Receipt:
    """Adds a read token to the receipt. A duplicate gets one too: its first sender may never have got the
    answer.
    """
    assert receipt.deployment, "only what is ignored has no deployment"
    return replace(
        receipt, read_token=receiver.store.read_tokens.issue(receipt.deployment.id, receiver.clock.now())
    )


def _reason(outcome: Outcome, job: DeployJob, deployment: Deployment) -> str:
    if outcome is Outcome.DUPLICATE:
        return f"this run is deployment {deployment.id} already, which is {deployment.status}"
    if outcome is Outcome.STALE and job.run:
        newer = deployment.run
        return (
            f"run {job.run.number}.{job.run.attempt} is older than {newer.number}.{newer.attempt},"
            f" which was accepted as deployment {deployment.id}"
        )
    return ""


def _meant(receiver: Receiver, app: str, environment: str, kind: Kind) -> str:
    """Returns the release that a redeploy or rollback without an id means. Raises NotFound."""
    deployments = receiver.store.deployments
    serving = deployments.serving(app, environment)
    if serving is None:
        raise NotFound(f"nothing was deployed to {app}/{environment} yet")
    if kind is Kind.REDEPLOY or previous_serves(serving, deployments.history(app, environment)):
        return serving.release
    before = deployments.before(app, environment, serving.release)
    if before is None:
        raise NotFound(f"{app}/{environment} has no earlier release to go back to")
    return before.release
