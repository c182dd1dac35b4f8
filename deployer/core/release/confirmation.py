"""The word from outside that a release that serves already may stay. In: a request's body, what the store
holds. Out: the verdict, or ConfirmationFailed. Never waits itself.

The runner that asked for the deploy looks at the new release from where users are, and says so, before
anything of the old one is drained or stopped: until then the way back is a switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from deployer.core.errors import ConfirmationFailed, PayloadRejected
from deployer.core.http.strict_json import parse_object

MAX_CONFIRM = 600  # seconds
_MAX_REASON = 500


class Verdict(StrEnum):
    """What was found."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    MISSING = "missing"  # nobody said anything in time; only the deployer itself says so


@dataclass(frozen=True)
class Confirmation:
    """One deployment's wait: until when (Unix seconds), and the word that came, if one did."""

    until: float
    verdict: Verdict | None = None
    reason: str = ""

    def awaited(self, now: float) -> bool:
        """Whether a word would still be taken."""
        return self.verdict is None and now < self.until


def parse_confirmation(raw: bytes) -> tuple[Verdict, str]:
    """`{"verdict": "confirmed" | "failed", "reason": text}`; raises PayloadRejected."""
    body = parse_object(raw)
    word, reason = body.get("verdict"), body.get("reason", "")
    if word not in (Verdict.CONFIRMED, Verdict.FAILED):
        raise PayloadRejected(f"verdict: should be {Verdict.CONFIRMED} or {Verdict.FAILED}")
    if not isinstance(reason, str):
        raise PayloadRejected("reason: should be text")
    return Verdict(word), reason[:_MAX_REASON]


def judge_confirmation(confirmation: Confirmation) -> bool:
    """True once the release is confirmed, False while no word is there; raises ConfirmationFailed."""
    if confirmation.verdict is Verdict.CONFIRMED:
        return True
    if confirmation.verdict is Verdict.FAILED:
        raise ConfirmationFailed(
            f"the release was not confirmed: {confirmation.reason or 'no reason was given'}",
            hint="whoever asked for the deploy looked at the new release and refused it",
        )
    if confirmation.verdict is Verdict.MISSING:
        raise ConfirmationFailed(
            "nobody confirmed the release in time",
            hint="the run that asked for the deploy may have been cancelled, or could not reach the server",
        )
    return False
