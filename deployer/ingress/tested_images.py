"""Proven images of a run, asked for by the action before it builds. In: raw bytes and a workflow's token.
Out: the known images.

The answer comes from the store alone, so the process that the internet reaches gives it without engine,
registry and key.
"""

from __future__ import annotations

from deployer.core.auth.api_tokens import PERSON_PREFIX
from deployer.core.auth.authorization import authorise_query
from deployer.core.errors import TokenRejected
from deployer.core.release.proven_images import Known, find_known, parse_query
from deployer.core.requests.deploy_request import audience_of
from deployer.ingress.receiver import Receiver, proof_of


def find_tested(receiver: Receiver, *, raw: bytes, bearer: str | None) -> Known:
    """Returns the images of the run that are proven already. Raises TokenRejected, PayloadRejected, Forbidden
    or NotFound, as a deploy request of the run does.
    """
    if not bearer or bearer.startswith(PERSON_PREFIX):
        raise TokenRejected(
            "a request for tested images needs a workflow's token",
            hint="the workflow's job needs `permissions: id-token: write`",
        )
    claims = receiver.verify_token(bearer, audience_of(receiver.config.url, raw))
    query = parse_query(raw)
    app, environment = authorise_query(claims, query, receiver.config)
    receiver.store.proofs.spend(proof_of(claims), receiver.clock.now())
    return find_known(receiver.store.images.proven(app.name, environment.name), query)
