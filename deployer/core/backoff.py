"""Pauses between retries. In: the number of tries, their duration, a random number. Out: seconds to wait, or
None to give up. Never waits and never draws the number itself.
"""

from __future__ import annotations

TRIES = 4
PATIENCE = 20.0  # seconds; a longer hang will repeat, and the engine itself waits for 25
_FIRST, _MOST = 0.5, 8.0


def pause(tried: int, spent: float, chance: float) -> float | None:
    """Returns the pause after `tried` tries that took `spent` seconds; `chance`, 0 to 1, spreads many
    deployers' retries.
    """
    if tried >= TRIES or spent > PATIENCE:
        return None
    return float(min(_MOST, _FIRST * 2 ** (tried - 1))) * (0.5 + chance)
