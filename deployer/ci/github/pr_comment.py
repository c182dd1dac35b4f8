"""Comment on a pull request, kept up to date. In: repository, number, text. Out: an empty text, or the reason
why there is no comment.
"""

from __future__ import annotations

import json
import os
from typing import Any

from deployer.io.http_client import Answer, ServerUnavailable, call

_PAGE, _MOST_PAGES = 100, 10
_VERSION = "2022-11-28"


def publish(repository: str, number: int, marker: str, text: str, token: str) -> str:
    """Replaces the comment that begins with `marker`, or adds a new one. Returns the reason for a failure,
    else an empty text.
    """
    base = f"{os.environ.get('GITHUB_API_URL') or 'https://api.github.com'}/repos/{repository}/issues"
    body = json.dumps({"body": f"{marker}\n{text}"}).encode()
    try:
        found = _find(f"{base}/{number}/comments", marker, token)
        if found:
            answer = _send("PATCH", f"{base}/comments/{found}", token, body)
        else:
            answer = _send("POST", f"{base}/{number}/comments", token, body)
    except ServerUnavailable as error:
        return str(error)
    return "" if answer.status in (200, 201) else f"GitHub answers {answer.status}"


def _find(url: str, marker: str, token: str) -> int:
    """Returns the number of our comment, 0 if there is none. Only a bot's comment counts: a person may begin
    one with the same marker.
    """
    for page in range(1, _MOST_PAGES + 1):
        answer = _send("GET", f"{url}?per_page={_PAGE}&page={page}", token)
        comments = _list(answer)
        for comment in comments:
            if str(comment.get("body", "")).startswith(marker) and _is_bot(comment):
                return int(comment["id"])
        if len(comments) < _PAGE:
            break
    return 0


def _is_bot(comment: dict[str, Any]) -> bool:
    return (comment.get("user") or {}).get("type") == "Bot"


def _list(answer: Answer) -> list[dict[str, Any]]:
    try:
        value = json.loads(answer.body) if answer.status == 200 else []
    except ValueError:
        return []
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _send(method: str, url: str, token: str, body: bytes | None = None) -> Answer:
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "Content-Type": "application/json",
        "User-Agent": "deployer",
        "X-GitHub-Api-Version": _VERSION,
    }
    return call(method, url, headers=headers, body=body, timeout=20)
