"""GitHub's webhooks and their record in the REST API. In: events to deliver. Out: real HTTP calls, and the
record of each.

Like GitHub it never sends again by itself, and a redelivery is a new attempt with the same guid.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt

from testing.github.openapi_contract import Contract, Operation
from testing.http_stub import Answer

LISTINGS = ("repos/list-webhook-deliveries", "apps/list-webhook-deliveries")
SHOWINGS = ("repos/get-webhook-delivery", "apps/get-webhook-delivery")
OPERATIONS = ("repos/list-webhooks", *LISTINGS, *SHOWINGS)


@dataclass
class Hook:
    """One webhook and its record, oldest attempt first."""

    id: int
    url: str
    secret: str
    repository: str = ""  # empty for an app's webhook
    active: bool = True
    attempts: list[dict[str, Any]] = field(default_factory=list)
    forgotten: set[int] = field(default_factory=set)  # listed, but not shown any more

    def send(self, event: str, payload: Mapping[str, Any], *, guid: str = "", at: float | None = None) -> int:
        """Makes one attempt and returns the status of its answer, 0 without an answer."""
        raw = json.dumps(payload, indent=1).encode()  # raw; the API shows it parsed
        guid = guid or str(uuid.uuid4())
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid,
            "X-GitHub-Hook-ID": str(self.id),
            "X-Hub-Signature-256": "sha256="
            + hmac.new(self.secret.encode(), raw, hashlib.sha256).hexdigest(),
        }
        code = _post(self.url, raw, headers)
        self.note(event, payload, code, guid=guid, headers=headers, at=at)
        return code

    def note(
        self,
        event: str,
        payload: Mapping[str, Any],
        code: int,
        *,
        guid: str = "",
        headers: Mapping[str, str] | None = None,
        at: float | None = None,
    ) -> str:
        """Records an attempt with this end and returns its guid."""
        guid = guid or str(uuid.uuid4())
        moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
        self.attempts.append(
            {
                "id": len(self.attempts) + 1,
                "guid": guid,
                "delivered_at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "redelivery": any(one["guid"] == guid for one in self.attempts),
                "duration": 0.1,
                "status": "OK" if 200 <= code < 300 else "failed to connect to host",
                "status_code": code,
                "event": event,
                "action": payload.get("action"),
                "installation_id": None,
                "repository_id": payload.get("repository", {}).get("id"),
                "throttled_at": None,
                "request": {
                    "headers": dict(headers or {"X-GitHub-Event": event, "X-GitHub-Delivery": guid}),
                    "payload": dict(payload),
                },
            }
        )
        return guid


def is_app_token(bearer: str, key: str) -> bool:
    """True for a token that a GitHub App signed, for ten minutes at most."""
    try:
        claims = jwt.decode(bearer, key, algorithms=["RS256"])
    except jwt.PyJWTError:
        return False
    return bool(claims["iss"] and claims["exp"] - claims["iat"] <= 660)


def answer(
    hooks: list[Hook], operation: Operation, query: Mapping[str, str], contract: Contract, base: str
) -> Answer:
    """Answers GitHub's operations on webhooks; None for any other operation."""
    values = operation.values
    name = f"{values['owner']}/{values['repo']}".lower() if "owner" in values else ""
    mine = [hook for hook in hooks if hook.repository.lower() == name]
    if operation.id == "repos/list-webhooks":
        return Answer(200, [_shown(hook, contract) for hook in mine])
    found = [hook for hook in mine if not name or str(hook.id) == values["hook_id"]]
    if not found:
        return Answer(404, {"message": "Not Found"})
    if operation.id in LISTINGS:
        return _page(found[0], operation, query, base)
    wanted = [one for one in found[0].attempts if str(one["id"]) == values["delivery_id"]]
    if int(values["delivery_id"]) in found[0].forgotten:
        return Answer(422, {"message": "Validation Failed", "documentation_url": "https://docs.github.com"})
    response = {"headers": {}, "payload": ""}
    return Answer(200, {**wanted[0], "url": found[0].url, "response": response}) if wanted else Answer(404)


def _page(hook: Hook, operation: Operation, query: Mapping[str, str], base: str) -> Answer:
    size, start = int(query.get("per_page", "30")), int(query.get("cursor", "0"))
    newest_first = hook.attempts[::-1]
    shown = [
        {key: value for key, value in one.items() if key != "request"}
        for one in newest_first[start : start + size]
    ]
    headers = {}
    if start + size < len(newest_first):
        path = f"repos/{hook.repository}/hooks/{hook.id}" if hook.repository else "app/hook"
        following = f"{base}/{path}/deliveries?per_page={size}&cursor={start + size}"
        headers["Link"] = f'<{following}>; rel="next"'
    return Answer(200, shown, headers)


def _shown(hook: Hook, contract: Contract) -> dict[str, Any]:
    given = {"id": hook.id, "active": hook.active, "config": {"url": hook.url, "content_type": "json"}}
    return contract.example("hook", given)


def _post(url: str, raw: bytes, headers: Mapping[str, str]) -> int:
    request = urllib.request.Request(url, raw, dict(headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
