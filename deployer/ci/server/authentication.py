"""Who this run is, to the server. In: a request's bytes. Out: the bytes to send, and the header that proves
them.

A token from GitHub where the job may ask for one; else a signature with the input `secret`. Both are good for
these bytes, this server and one delivery, so every try needs its own.
"""

from __future__ import annotations

import secrets
import time

from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import input_text
from deployer.ci.github.oidc_token import request_token
from deployer.ci.github.permissions import may_request
from deployer.core.requests.deploy_request import audience_of
from deployer.core.requests.signed_request import SIGNATURE, Stamp, sign, stamped


def prove(origin: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Raises TokenRejected where the job has neither, with the lines to add."""
    secret = input_text("secret")
    if secret and not may_request():
        workflow_commands.mask(secret)
        signed = stamped(body, Stamp(origin, int(time.time()), secrets.token_hex(16)))
        return signed, {SIGNATURE: sign(signed, secret.encode())}
    return body, {"Authorization": f"Bearer {request_token(audience_of(origin, body))}"}
