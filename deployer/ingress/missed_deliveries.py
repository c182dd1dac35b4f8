"""Recovery of webhook deliveries that never arrived. In: GitHub's own list of its attempts. Out: receipts,
the same as for a delivered webhook.

GitHub's API is trusted like GitHub itself: the server asks it over TLS for the webhooks that point here. A
failure here never reaches a deploy, and the next run looks again at everything that this run left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from deployer.core.errors import DeployerError, Forbidden, GitHubUnavailable, NotFound, PayloadRejected
from deployer.core.reporting.log_fields import log_fields
from deployer.core.webhooks.redelivery import OVERLAP, PATIENCE, WebhookDeliveries, delivery_of, missed
from deployer.ingress.receiver import Receipt, Receiver, accept_recovered

_log = logging.getLogger("deployer.recovery")


def recover(receiver: Receiver, log: WebhookDeliveries) -> list[Receipt]:
    """Looks once at every webhook that points to this server. Deliveries that failed before the first look at
    a webhook stay out: this server did not miss them.
    """
    receipts: list[Receipt] = []
    for place in log.places():
        try:
            for hook in log.hooks(place):
                receipts.extend(_look(receiver, log, hook))
        except DeployerError as error:
            told = log_fields("recovery-failed", place=place, code=error.code)
            _log.warning("deliveries of %s: %s", place or "the app", error.diagnostics(), extra=told)
    return receipts


def _look(receiver: Receiver, log: WebhookDeliveries, hook: str) -> Iterator[Receipt]:
    """Accepts the missed deliveries of one webhook. The stored mark moves on only after everything before it
    was handled: the next look asks again for deliveries that GitHub did not show, and recognises an accepted
    one by its guid.
    """
    begun, before = receiver.clock.now(), receiver.store.deliveries.looked_at(hook)
    failures: list[GitHubUnavailable] = []
    for attempt in missed(log.attempts(hook, before - OVERLAP)) if before is not None else ():
        if receiver.store.deliveries.was_delivered(attempt.guid):
            continue  # accepted already: the answer came too late for GitHub, or a person redelivered it
        try:
            receipt = accept_recovered(receiver, delivery_of(log.fetch(hook, attempt)))
        except GitHubUnavailable as error:
            failures.append(error)
            if len(failures) >= PATIENCE:
                break
            continue
        except (PayloadRejected, Forbidden, NotFound) as error:
            told = log_fields("delivery-refused", code=error.code, guid=attempt.guid)
            _log.warning("delivery %r of %s: %s", attempt.guid, hook, error, extra=told)
            continue
        told = log_fields(
            "delivery-recovered", receipt.deployment, guid=attempt.guid, outcome=receipt.outcome
        )
        _log.info("delivery %r of %s was missed: %s", attempt.guid, hook, receipt.outcome, extra=told)
        yield receipt
    if failures:
        raise failures[0]
    receiver.store.deliveries.note_look(hook, begun)
