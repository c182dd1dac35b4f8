"""GitHub's record of webhook deliveries, over its REST API. In: repositories, a token, an app's key. Out:
delivery attempts and their requests.

A repository's webhooks need a token with Webhooks: read; an app's single webhook needs the app's key.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from github import Auth, Github, GithubException

from deployer.adapters.github.api_access import FAULTS, client_of, explain
from deployer.core.errors import GitHubUnavailable, NotFound
from deployer.core.webhooks.redelivery import Attempt, Sent

_GONE = (400, 404, 410, 422)  # of one delivery, while its webhook is listed
_PAGE = 100
_MOST_PAGES = 30
_log = logging.getLogger("deployer.recovery")
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_HINT = "the token in github.token-file needs Webhooks: read, or set github.app-id and github.app-key-file"


class GitHubWebhookDeliveries:
    """Implements `core.webhooks.redelivery.WebhookDeliveries`. `address` is this server's webhook URL."""

    def __init__(
        self,
        *,
        api: str,
        address: str,
        repositories: Sequence[str],
        token: str = "",
        app: tuple[str, str] | None = None,  # id, private key
        timeout: int = 10,
    ) -> None:
        self._address = address
        self._repositories = tuple(dict.fromkeys(repositories)) if token else ()
        self._clients: dict[str, Github] = {}
        if token:
            self._clients["repos"] = client_of(api, Auth.Token(token), timeout)
        if app:
            self._clients["app"] = client_of(api, Auth.AppAuth(*app), timeout)
        self._secret = token

    def places(self) -> Sequence[str]:
        return (*self._repositories, *([""] if "app" in self._clients else []))

    def hooks(self, place: str) -> Sequence[str]:
        if not place:
            return ["app/hook"]
        with self._answering(f"repos/{place}/hooks") as path:
            return [
                f"repos/{place}/hooks/{int(hook['id'])}"
                for hook in self._get(path, {"per_page": _PAGE})[1]
                if hook["active"] and str(hook["config"].get("url", "")).rstrip("/") == self._address
            ]

    def attempts(self, hook: str, since: float) -> Sequence[Attempt]:
        found: list[Attempt] = []
        with self._answering(f"{hook}/deliveries") as path:
            for page in self._pages(path):
                recent = [attempt for attempt in map(_attempt, page) if attempt.delivered_at >= since]
                found += recent
                if len(recent) < len(page):
                    break
        return found

    def fetch(self, hook: str, attempt: Attempt) -> Sent:
        with self._answering(f"{hook}/deliveries/{attempt.id}") as path:
            try:
                request = self._get(path, {})[1]["request"]
            except GithubException as error:
                if error.status in _GONE:
                    raise NotFound(f"{path}: GitHub answered {error.status}") from None
                raise
            headers = {str(name): str(value) for name, value in (request["headers"] or {}).items()}
            return Sent(headers, dict(request["payload"] or {}))

    def _pages(self, path: str) -> Iterator[list[dict[str, Any]]]:
        wanted: dict[str, Any] = {"per_page": _PAGE}
        for _ in range(_MOST_PAGES):
            headers, page = self._get(path, wanted)
            yield page
            following = _NEXT.search(headers.get("link", ""))
            cursor = parse_qs(urlsplit(following[1]).query).get("cursor") if following else None
            if not cursor:
                return
            wanted = {"per_page": _PAGE, "cursor": cursor[0]}
        _log.warning("%s: more than %d deliveries; older ones are not processed", path, _MOST_PAGES * _PAGE)

    def _get(self, path: str, parameters: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        client = self._clients[path.partition("/")[0]]
        return client.requester.requestJsonAndCheck("GET", f"/{path}", parameters=parameters)

    @contextmanager
    def _answering(self, path: str) -> Iterator[str]:
        try:
            yield path
        except (*FAULTS, AttributeError) as error:
            said = explain(error)[0]
            said = said.replace(self._secret, "[redacted]") if self._secret else said
            raise GitHubUnavailable(f"{path}: {said}", hint=_HINT) from None
        except jwt.PyJWTError:
            raise GitHubUnavailable(
                f"{path}: the app's key cannot sign", hint="github.app-key-file is the PEM file from GitHub"
            ) from None


def _attempt(item: dict[str, Any]) -> Attempt:
    at = datetime.fromisoformat(str(item["delivered_at"])).timestamp()
    return Attempt(int(item["id"]), str(item["guid"]), str(item["event"]), at, int(item["status_code"]))
