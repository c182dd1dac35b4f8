"""Wait for the external confirmation of a release that already serves. In: a deployment, seconds. Out:
nothing, or ConfirmationFailed.

Confirmations arrive at the receiver, which may be another process, so the store is polled. When this process
is killed, the next one finds the end of the wait and any confirmation in the store.
"""

from __future__ import annotations

from deployer.core.model import EventKind
from deployer.core.ports.clock import Clock
from deployer.core.ports.journal import Journal
from deployer.core.ports.store import Confirmations
from deployer.core.release.confirmation import judge_confirmation

_LOOK = 0.1  # seconds between two reads of the store


def await_confirmation(
    id: str, seconds: int, confirmations: Confirmations, clock: Clock, journal: Journal
) -> None:
    """Returns when the release is confirmed; raises ConfirmationFailed when it is refused or no confirmation
    arrives in time.
    """
    found = confirmations.begin(id, clock.now() + seconds)
    left = max(0.0, found.until - clock.now())
    told = f"the release serves and waits up to {left:.0f} s for its confirmation; the old one stays"
    journal.record(EventKind.CONFIRM, told)
    while not judge_confirmation(found):
        clock.sleep(_LOOK)
        found = confirmations.read(id)
        if found.verdict is None and clock.now() >= found.until:
            found = confirmations.end(id)
    journal.record(EventKind.CONFIRMED, found.reason or "the release is confirmed")
