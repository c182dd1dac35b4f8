"""The run's identity. In: an audience. Out: GitHub's signed token for exactly that audience, masked."""

from __future__ import annotations

import os
from urllib.parse import quote

from deployer.ci.github import workflow_commands
from deployer.ci.github.permissions import PERMISSIONS, require_identity
from deployer.core.errors import GitHubUnavailable
from deployer.io.http_client import Answer, ServerUnavailable, call

_TRIES = 4


def request_token(audience: str) -> str:
    """Requests a new token; every call needs one, because the server accepts a token only once. Raises
    TokenRejected or GitHubUnavailable.
    """
    require_identity()
    url, bearer = (os.environ[f"ACTIONS_ID_TOKEN_REQUEST_{part}"] for part in ("URL", "TOKEN"))
    workflow_commands.mask(bearer)
    answer = _ask(f"{url}&audience={quote(audience, safe='')}", bearer)
    token = answer.table().get("value")
    if answer.status != 200 or not isinstance(token, str) or not token:
        raise GitHubUnavailable(
            f"GitHub answers {answer.status} to the request for a token", hint=PERMISSIONS
        )
    workflow_commands.mask(token)
    return token


def _ask(url: str, bearer: str) -> Answer:
    headers = {"Authorization": f"bearer {bearer}", "Accept": "application/json"}
    try:
        return call("GET", url, headers=headers, tries=_TRIES)
    except ServerUnavailable as error:
        raise GitHubUnavailable(str(error)) from None
