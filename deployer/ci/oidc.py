"""The run's identity. In: an audience. Out: GitHub's signed token for exactly that audience, masked."""

from __future__ import annotations

import os
from urllib.parse import quote

from deployer.ci import workflow
from deployer.ci.client import Answer, ServerUnavailable, call
from deployer.core.errors import ForgeUnavailable, TokenRejected

_TRIES = 4
_PERMISSIONS = """give the job that uses this action:
    permissions:
      contents: read
      packages: write
      id-token: write"""
_ELSE = "or, where there are no such tokens, set the input secret to the app's webhook secret"


def may_request() -> bool:
    """Whether GitHub lets this job ask for tokens."""
    return all(os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{part}") for part in ("URL", "TOKEN"))


def request_token(audience: str) -> str:
    """A new token at every call, since each is good once. Raises TokenRejected or ForgeUnavailable."""
    if not may_request():
        raise TokenRejected(
            "this job may not ask GitHub for an identity token", hint=f"{_PERMISSIONS}\n{_ELSE}"
        )
    url, bearer = (os.environ[f"ACTIONS_ID_TOKEN_REQUEST_{part}"] for part in ("URL", "TOKEN"))
    workflow.mask(bearer)
    answer = _ask(f"{url}&audience={quote(audience, safe='')}", bearer)
    token = answer.table().get("value")
    if answer.status != 200 or not isinstance(token, str) or not token:
        raise ForgeUnavailable(
            f"GitHub answers {answer.status} to the request for a token", hint=_PERMISSIONS
        )
    workflow.mask(token)
    return token


def _ask(url: str, bearer: str) -> Answer:
    headers = {"Authorization": f"bearer {bearer}", "Accept": "application/json"}
    try:
        return call("GET", url, headers=headers, tries=_TRIES)
    except ServerUnavailable as error:
        raise ForgeUnavailable(str(error)) from None
