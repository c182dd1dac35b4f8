"""Plan requests: the changes that a pull request would cause. In: raw bytes and a workflow's token. Out: a
`Preview`, made in this process or, if another process has the engine, by that process.
"""

from __future__ import annotations

from deployer.core.auth.api_tokens import PERSON_PREFIX
from deployer.core.auth.authorization import authorise_plan
from deployer.core.errors import TokenRejected, TooManyRequests, WorkerSilent, error_of
from deployer.core.model import DeployJob
from deployer.core.ports.arrivals import Proof
from deployer.core.queue.delegated_task import PATIENCE, TaskKind
from deployer.core.requests.deploy_request import audience_of, parse_request
from deployer.core.rollout.changes import Preview
from deployer.ingress.receiver import Receiver, proof_of

_PLAN_LOOK = 0.1  # seconds between two looks for the worker's answer
_PLAN_PATIENCE, _PLAN_LATER = 5.0, 10.0  # seconds: waiting for a free slot; the client's Retry-After


def accept_plan(receiver: Receiver, *, raw: bytes, bearer: str | None) -> Preview:
    """Returns the changes that a pull request would cause. The store keeps nothing of the request but the
    spent token.
    """
    if not bearer or bearer.startswith(PERSON_PREFIX):
        raise TokenRejected(
            "a plan needs a workflow's token", hint="the workflow's job needs `permissions: id-token: write`"
        )
    claims = receiver.verify_token(bearer, audience_of(receiver.config.url, raw))
    job = authorise_plan(claims, parse_request(raw), receiver.config)
    if not receiver.planning.acquire(timeout=_PLAN_PATIENCE):
        raise TooManyRequests(_PLAN_LATER, "too many plans are being made")
    try:
        if receiver.preview is None:
            return _ask_worker(receiver, job, proof_of(claims))
        receiver.store.proofs.spend(proof_of(claims), receiver.clock.now())
        return receiver.preview(job)
    finally:
        receiver.planning.release()


def _ask_worker(receiver: Receiver, job: DeployJob, proof: Proof) -> Preview:
    """Delegates the plan to the process that has the engine. Raises the error that the worker reports, or
    WorkerSilent if the worker does not answer in time.
    """
    id = receiver.store.tasks.hand_over(TaskKind.PLAN, [job], receiver.clock.now(), proof)
    end = receiver.clock.monotonic() + PATIENCE
    while (answer := receiver.store.tasks.answer_of(id)) is None and receiver.clock.monotonic() < end:
        receiver.clock.sleep(_PLAN_LOOK)
    receiver.store.tasks.drop(id)
    if answer is None:
        raise WorkerSilent(
            f"no worker made the plan within {PATIENCE:.0f} s", hint="is `deployer worker` running?"
        )
    if "error" in answer:
        raise error_of(str(answer["error"]), str(answer["message"]), str(answer["hint"]))
    return Preview(**answer)
