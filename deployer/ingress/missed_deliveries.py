"""What GitHub could not deliver, taken after all. In: GitHub's own record of what it tried. Out: receipts, as
from the door.

GitHub's API is believed as GitHub: it is asked over TLS for the hooks that lead here. Nothing that fails here
reaches a deploy; what was not looked at is looked at next time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from deployer.core.errors import DeployerError, Forbidden, ForgeUnavailable, NotFound, PayloadRejected
from deployer.core.reporting.log_fields import about
from deployer.core.webhooks.redelivery import OVERLAP, PATIENCE, HookLog, delivery_of, missed
from deployer.ingress.receiver import Intake, Receipt, accept_recovered

_log = logging.getLogger("deployer.recovery")


def recover(intake: Intake, log: HookLog) -> list[Receipt]:
    """Looks at every hook that leads here, once. What failed before a hook's first look is not taken: it was
    not this server that missed it.
    """
    receipts: list[Receipt] = []
    for place in log.places():
        try:
            for hook in log.hooks(place):
                receipts.extend(_look(intake, log, hook))
        except DeployerError as error:
            told = about("recovery-failed", place=place, code=error.code)
            _log.warning("deliveries of %s: %s", place or "the app", error.diagnostics(), extra=told)
    return receipts


def _look(intake: Intake, log: HookLog, hook: str) -> Iterator[Receipt]:
    """The mark moves on only once everything before it was dealt with: what GitHub did not show this time is
    asked for again, and what was taken is known by its guid.
    """
    begun, before = intake.clock.now(), intake.store.looked_at(hook)
    failures: list[ForgeUnavailable] = []
    for attempt in missed(log.attempts(hook, before - OVERLAP)) if before is not None else ():
        if intake.store.was_delivered(attempt.guid):
            continue  # taken; the answer came too late for GitHub, or somebody redelivered it
        try:
            receipt = accept_recovered(intake, delivery_of(log.fetch(hook, attempt)))
        except ForgeUnavailable as error:
            failures.append(error)
            if len(failures) >= PATIENCE:
                break
            continue
        except (PayloadRejected, Forbidden, NotFound) as error:
            told = about("delivery-refused", code=error.code, guid=attempt.guid)
            _log.warning("delivery %r of %s: %s", attempt.guid, hook, error, extra=told)
            continue
        told = about("delivery-recovered", receipt.deployment, guid=attempt.guid, outcome=receipt.outcome)
        _log.info("delivery %r of %s was missed: %s", attempt.guid, hook, receipt.outcome, extra=told)
        yield receipt
    if failures:
        raise failures[0]
    intake.store.note_look(hook, begun)
