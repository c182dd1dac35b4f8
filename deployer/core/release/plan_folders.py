"""Room for the files of plans. In: sizes, what plans hold now, what the disk has left. Out: nothing, or an
error. Measures nothing itself.

A plan is asked for by a pull request that nobody has reviewed, so it gets what a deploy cannot miss.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployer.core.errors import StoreUnavailable, TooManyRequests
from deployer.core.model import Bundle

MOST_PLANS = 8  # at once
MOST_BYTES = 64_000_000  # of all plans at once
RESERVE = 256_000_000  # bytes of the disk that plans leave to deploys and the database
_BLOCK = 4096  # a small file takes a whole one, a folder one more
_LATER = 10.0  # seconds until it is worth asking again


def bytes_of(bundle: Bundle) -> int:
    """Upper bound of what the files take on the disk."""
    return sum(len(text.encode()) + _BLOCK * (1 + name.count("/") + 1) for name, text in bundle.files.items())


def judge_plan(needed: int, held: Sequence[int], free: int) -> None:
    """`held`: bytes of each plan that is being made. Raises TooManyRequests or StoreUnavailable."""
    if len(held) >= MOST_PLANS or sum(held) + needed > MOST_BYTES:
        raise TooManyRequests(_LATER, "too many plans are being made")
    if free - needed < RESERVE:
        raise StoreUnavailable(
            f"no plan is made: the disk of the state folder has {free / 1e6:,.0f} MB left, and plans leave"
            f" {RESERVE / 1e6:,.0f} MB to deploys",
            hint="make room on the server: `df -h`, `docker system df`",
        )
