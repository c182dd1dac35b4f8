"""Disk space for the files of plans. In: sizes, bytes held by running plans, free bytes of the disk. Out:
nothing, or an error. Never measures anything itself.

A plan is requested by a pull request that is not reviewed, so it gets only space that deploys do not need.
"""

from __future__ import annotations

from collections.abc import Sequence

from deployer.core.errors import StoreUnavailable, TooManyRequests
from deployer.core.model import Bundle

MOST_PLANS = 8  # at once
MOST_BYTES = 64_000_000  # of all plans at once
RESERVE = 256_000_000  # bytes of the disk that plans leave to deploys and the database
_BLOCK = 4096  # a small file takes a whole block, a folder one more
_LATER = 10.0  # seconds until another request makes sense


def bytes_of(bundle: Bundle) -> int:
    """Returns an upper bound of the files' size on the disk."""
    return sum(len(text.encode()) + _BLOCK * (1 + name.count("/") + 1) for name, text in bundle.files.items())


def judge_plan(needed: int, held: Sequence[int], free: int) -> None:
    """Raises TooManyRequests or StoreUnavailable. `held`: bytes of each running plan."""
    if len(held) >= MOST_PLANS or sum(held) + needed > MOST_BYTES:
        raise TooManyRequests(_LATER, "too many plans are being made")
    if free - needed < RESERVE:
        raise StoreUnavailable(
            f"no plan is made: the disk of the state folder has {free / 1e6:,.0f} MB left, and plans leave"
            f" {RESERVE / 1e6:,.0f} MB to deploys",
            hint="make room on the server: `df -h`, `docker system df`",
        )
