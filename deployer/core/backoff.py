"""When to try again. In: how often it was tried, for how long, and chance. Out: seconds to wait, or None to
give up. Waits for nothing and draws no lots itself.
"""

from __future__ import annotations

TRIES = 4
PATIENCE = 20.0  # seconds; what hung so long will hang again, and the engine itself waits for 25
_FIRST, _MOST = 0.5, 8.0


def pause(tried: int, spent: float, chance: float) -> float | None:
    """After `tried` tries that took `spent` seconds; `chance`, 0 to 1, keeps many deployers apart."""
    if tried >= TRIES or spent > PATIENCE:
        return None
    return float(min(_MOST, _FIRST * 2 ** (tried - 1))) * (0.5 + chance)
