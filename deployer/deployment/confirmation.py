"""Waiting for the word that a release which serves may stay. In: a deployment, seconds. Out: nothing, or
ConfirmationFailed.

The word comes to the receiver's door, which may be another process, so the store is asked. When this process
is killed, the next one finds the wait's end and the word, if it came, in the store.
"""

from __future__ import annotations

from deployer.core.ports.clock import Clock, Say
from deployer.core.ports.store import Store
from deployer.core.release.confirmation import judge_confirmation

_LOOK = 0.1  # seconds between two looks


def await_confirmation(id: str, seconds: int, store: Store, clock: Clock, say: Say) -> None:
    """Returns when the release was confirmed; raises ConfirmationFailed when it was refused, or nothing came
    in time.
    """
    found = store.await_word(id, clock.now() + seconds)
    left = max(0.0, found.until - clock.now())
    say("confirm", f"the release serves and waits up to {left:.0f} s to be confirmed; the old one stands by")
    while not judge_confirmation(found):
        clock.sleep(_LOOK)
        found = store.word(id)
        if found.verdict is None and clock.now() >= found.until:
            found = store.stop_waiting(id)
    say("confirmed", found.reason or "the release may stay")
