"""API tokens of persons. In and out: `Token`, a token's app and rights. Never holds a secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PERSON_PREFIX = "dpl_"  # prefix of a person's token, for secret scanners and the receiver
READ_PREFIX = "dpr_"  # prefix of the read token of one deployment


class Right(StrEnum):
    """Right of a token, within its app."""

    DEPLOY = "deploy"
    REDEPLOY = "redeploy"
    ROLLBACK = "rollback"
    READ = "read"


@dataclass(frozen=True)
class Token:
    """A person's token as the server knows it. `expires_at` is in Unix seconds; None: valid until revoked."""

    name: str
    app: str
    can: frozenset[Right]
    created_at: float
    expires_at: float | None

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def may(self, right: Right, app: str) -> bool:
        return app == self.app and right in self.can
