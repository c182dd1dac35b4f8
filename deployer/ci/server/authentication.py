"""Authentication of this run at the server. In: a request's bytes. Out: the bytes to send, and the header
that proves them.

Uses a token from GitHub if the job may request one, else a signature with the input `secret`. Both are valid
for these bytes, this server and one delivery, so every try needs its own.
"""

from __future__ import annotations

import secrets
import time

from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import input_text
from deployer.ci.github.oidc_token import request_token
from deployer.ci.github.permissions import may_request
from deployer.core.requests.deploy_request import audience_of
from deployer.core.requests.signed_request import SIGNATURE, RequestSignature, sign, stamped


def prove(origin: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Returns the bytes to send with their header. Raises TokenRejected, with the permissions to add, if the
    job has neither.
    """
    secret = input_text("secret")
    if secret and not may_request():
        workflow_commands.mask(secret)
        signed = stamped(body, RequestSignature(origin, int(time.time()), secrets.token_hex(16)))
        return signed, {SIGNATURE: sign(signed, secret.encode())}
    return body, {"Authorization": f"Bearer {request_token(audience_of(origin, body))}"}
