"""External confirmation of a release that is already serving. In: a request's body, the stored state. Out:
the verdict, or ConfirmationFailed. Never waits itself.

The runner that asked for the deploy checks the new release from the users' side and reports before anything
of the old one is drained or stopped: until then a rollback is a switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from deployer.core.errors import ConfirmationFailed, PayloadRejected
from deployer.core.http.strict_json import parse_object

MAX_CONFIRM = 600  # seconds
_MAX_REASON = 500


class ConfirmationVerdict(StrEnum):
    """Verdict on the new release."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    MISSING = "missing"  # no verdict arrived in time; set by the deployer itself only


@dataclass(frozen=True)
class Confirmation:
    """Wait of one deployment: its end (Unix seconds), and the verdict, if one arrived."""

    until: float
    verdict: ConfirmationVerdict | None = None
    reason: str = ""

    def awaited(self, now: float) -> bool:
        """True if a verdict would still be accepted."""
        return self.verdict is None and now < self.until


def parse_confirmation(raw: bytes) -> tuple[ConfirmationVerdict, str]:
    """Parses `{"verdict": "confirmed" | "failed", "reason": text}`; raises PayloadRejected."""
    body = parse_object(raw)
    word, reason = body.get("verdict"), body.get("reason", "")
    if word not in (ConfirmationVerdict.CONFIRMED, ConfirmationVerdict.FAILED):
        raise PayloadRejected(
            f"verdict: should be {ConfirmationVerdict.CONFIRMED} or {ConfirmationVerdict.FAILED}"
        )
    if not isinstance(reason, str):
        raise PayloadRejected("reason: should be text")
    return ConfirmationVerdict(word), reason[:_MAX_REASON]


def judge_confirmation(confirmation: Confirmation) -> bool:
    """Returns True once the release is confirmed, False while no verdict is there; raises
    ConfirmationFailed.
    """
    if confirmation.verdict is ConfirmationVerdict.CONFIRMED:
        return True
    if confirmation.verdict is ConfirmationVerdict.FAILED:
        raise ConfirmationFailed(
            f"the release was not confirmed: {confirmation.reason or 'no reason was given'}",
            hint="the client that asked for the deploy checked the new release and refused it",
        )
    if confirmation.verdict is ConfirmationVerdict.MISSING:
        raise ConfirmationFailed(
            "the release was not confirmed in time",
            hint="the run that asked for the deploy may have been cancelled, or could not reach the server",
        )
    return False
