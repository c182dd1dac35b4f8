"""Who a person is to the server. In and out: `Token`, what one of people's tokens may do. No secret ever
stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PERSON_PREFIX = "dpl_"  # how a person's token begins; secret scanners and the receiver tell it by this
READ_PREFIX = "dpr_"  # how the read token of one deployment begins


class Right(StrEnum):
    """One thing a token may do, within its app."""

    DEPLOY = "deploy"
    REDEPLOY = "redeploy"
    ROLLBACK = "rollback"
    READ = "read"


@dataclass(frozen=True)
class Token:
    """A person's token as the server knows it. `expires_at` is in Unix seconds; None: until it is revoked."""

    name: str
    app: str
    can: frozenset[Right]
    created_at: float
    expires_at: float | None

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def may(self, right: Right, app: str) -> bool:
        return app == self.app and right in self.can
