"""Permission of the job to request an identity token. In: the step's environment. Out: True, or the lines to
add.
"""

from __future__ import annotations

import os

from deployer.core.errors import TokenRejected

PERMISSIONS = """give the job that uses this action:
    permissions:
      contents: read
      packages: write
      id-token: write"""
_ELSE = "or, where there are no such tokens, set the input secret to the app's webhook secret"


def may_request() -> bool:
    """True if GitHub lets this job request tokens."""
    return all(os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{part}") for part in ("URL", "TOKEN"))


def require_identity() -> None:
    """Raises TokenRejected if the job may not request tokens."""
    if not may_request():
        raise TokenRejected(
            "this job may not ask GitHub for an identity token", hint=f"{PERMISSIONS}\n{_ELSE}"
        )
