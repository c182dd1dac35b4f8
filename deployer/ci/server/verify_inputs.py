"""Inputs for the check of the public address. In: the inputs `verify-…`. Out: `Outside`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from deployer.ci.github.inputs import input_text, whole_seconds
from deployer.core.build.release_check import Demand
from deployer.core.errors import ConfigError

_MOST = 500  # seconds; the server waits for a verdict no longer than ten minutes
_MARGIN = 30  # seconds the server waits longer than the runner looks


@dataclass(frozen=True)
class Outside:
    """Address to check, seconds to try, and the demand that the answer names the revision; an empty `url`: no
    check.
    """

    url: str
    seconds: int
    demand: Demand

    @property
    def confirm(self) -> int:
        """Seconds that the server should wait for the verdict; 0 without a check."""
        return self.seconds + _MARGIN if self.url else 0


def outside() -> Outside:
    """Returns the inputs `verify-…`. Raises ConfigError."""
    url, parts = input_text("verify-url"), urlsplit(input_text("verify-url"))
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
        raise ConfigError(
            "verify-url", f"{url!r} should be an address such as https://shop.example.com/health"
        )
    seconds = whole_seconds("verify-timeout", input_text("verify-timeout") or "60", _MOST)
    demand = input_text("verify-revision") or Demand.AUTO
    if demand not in tuple(Demand):
        raise ConfigError("verify-revision", f"{demand!r} should be auto, true or false")
    return Outside(url, seconds, Demand(demand))
