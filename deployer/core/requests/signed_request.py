"""A request signed with an app's webhook secret, for places without OIDC. In: a body. Out: the same with a
stamp, its signature, or why the stamp is not accepted.

The signature is a webhook's, over the exact bytes. A webhook's body could be sent again by whoever saw it;
here the signed bytes themselves name the server, the time and a number that is taken once.
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
LIFETIME = 300  # seconds a signed request is good for, and that two clocks may differ
_NONCE = re.compile(r"[0-9a-f]{32,64}")


@dataclass(frozen=True)
class Stamp:
    """What makes one request different from every other: where to, when (Unix seconds), and once."""

    server: str
    at: int
    nonce: str


def stamped(body: bytes, stamp: Stamp) -> bytes:
    """A deploy request's bytes with the stamp in them."""
    table = json.loads(body) | {"stamp": {"server": stamp.server, "at": stamp.at, "nonce": stamp.nonce}}
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(raw: bytes, secret: bytes) -> str:
    """The value of the header `SIGNATURE`."""
    return "sha256=" + hmac.new(secret, raw, hashlib.sha256).hexdigest()


def judge_stamp(raw: bytes, server: str, now: float) -> Stamp:
    """The stamp of a body whose signature held. Raises PayloadRejected without one, TokenRejected for another
    server's and for one that is too old.
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


def _parse(body: Mapping[str, Any]) -> Stamp:
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
    return Stamp(str(server), int(str(at)), str(nonce))
