"""Request signed with an app's webhook secret, for CI systems without OIDC. In: a body. Out: the body with a
field `stamp`, its signature, or the refusal of the request.

The signature is a webhook's, over the exact bytes. An eavesdropper could replay a webhook's body; here the
signed bytes themselves name the server, the time and a nonce that is accepted once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.errors import PayloadRejected, TokenRejected
from deployer.core.http.strict_json import parse_object

SIGNATURE = "X-Hub-Signature-256"
LIFETIME = 300  # validity of a signed request in seconds, and the tolerated clock difference
_NONCE = re.compile(r"[0-9a-f]{32,64}")


@dataclass(frozen=True)
class RequestSignature:
    """Data that makes one request unique: the server, the time (Unix seconds) and a nonce."""

    server: str
    at: int
    nonce: str


def stamped(body: bytes, stamp: RequestSignature) -> bytes:
    """Returns a deploy request's bytes with the field `stamp` included."""
    table = json.loads(body) | {"stamp": {"server": stamp.server, "at": stamp.at, "nonce": stamp.nonce}}
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(raw: bytes, secret: bytes) -> str:
    """Returns the value of the header `SIGNATURE`."""
    return "sha256=" + hmac.new(secret, raw, hashlib.sha256).hexdigest()


def judge_stamp(raw: bytes, server: str, now: float) -> RequestSignature:
    """Returns the `stamp` of a body after its signature was verified. Raises PayloadRejected without one,
    TokenRejected for another server's and for an expired one.
    """
    stamp = _parse(parse_object(raw))
    if stamp.server.rstrip("/") != server.rstrip("/"):
        raise TokenRejected(
            f"the request is signed for {stamp.server[:200]!r}, not for this server",
            hint="the action's input `server` must read exactly like the server's `url`",
        )
    if abs(now - stamp.at) > LIFETIME:
        raise TokenRejected(
            f"the request was signed {now - stamp.at:.0f} s ago, more than {LIFETIME} s",
            hint="compare the clocks of the runner and the server; an old request cannot be sent again",
        )
    return stamp


def _parse(body: Mapping[str, Any]) -> RequestSignature:
    table = body.get("stamp")
    found = table if isinstance(table, dict) else {}
    server, at, nonce = (found.get(key) for key in ("server", "at", "nonce"))
    well = (
        isinstance(server, str)
        and isinstance(at, int)
        and not isinstance(at, bool)
        and isinstance(nonce, str)
        and _NONCE.fullmatch(nonce)
    )
    if not well:
        raise PayloadRejected("stamp: a signed request should hold its server, time and nonce")
    return RequestSignature(str(server), int(str(at)), str(nonce))
