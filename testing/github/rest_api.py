"""The part of GitHub's REST API that the deployer uses, on 127.0.0.1. In: HTTP. Out: answers and a record of
the calls.

Requests and answers are checked against GitHub's published description (`openapi_contract.py`): a request
that violates it is answered with 422 and recorded in `breaches`. Content comes from dicts or from real git
repositories.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from testing.github.openapi_contract import Contract, Operation
from testing.github.pr_comments import Comments
from testing.github.repository_content import Content, FromDict, FromGit
from testing.github.repository_reads import Reading, missing
from testing.github.webhook_deliveries import OPERATIONS, Hook, answer, is_app_token
from testing.http_stub import Answer, Server

VERSION = "2022-11-28"
FAULTS = ("502", "500", "rate-limit", "hang", "422", "echo", "307", "garbage", "202")


@dataclass(frozen=True)
class Call:
    """One request, and the status of its answer."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]
    status: int


class GitHubServer(Reading):
    """A GitHub with these repositories, each `{revision: {path: text}}` or the path of a git repository."""

    def __init__(
        self,
        repositories: Mapping[str, Mapping[str, Mapping[str, str | bytes]] | Path],
        *,
        token: str = "",
        port: int = 0,
    ) -> None:
        self._contents: dict[str, Content] = {
            name.lower(): FromGit(source) if isinstance(source, Path) else FromDict(source)
            for name, source in repositories.items()
        }
        self._token = token
        self._contract = Contract()
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._faults: list[tuple[str, str, str, int]] = []
        self._deployments: dict[str, list[dict[str, Any]]] = {name: [] for name in self._contents}
        self._statuses: dict[int, list[dict[str, Any]]] = {}
        self.hooks: list[Hook] = []
        self.app_key = ""  # the public half; with it the app's own operations answer to its tokens
        self.comments = Comments(self._contract)
        self.truncated = False  # git/trees reports an incomplete listing
        self.calls: list[Call] = []
        self.breaches: list[str] = []
        self._server = Server(self.answer, port)

    @property
    def url(self) -> str:
        """Returns the address for the setting `github.api`."""
        return self._server.url

    def start(self) -> GitHubServer:
        self._server.start()
        return self

    def stop(self) -> None:
        self._released.set()
        self._server.stop()

    def __enter__(self) -> GitHubServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def break_with(self, fault: str, *, method: str = "", path: str = "", times: int = 1_000_000) -> None:
        """Gives the fault to the next `times` calls of `method` (any) whose path contains `path`."""
        if fault not in FAULTS:
            raise ValueError(f"{fault} is none of {', '.join(FAULTS)}")
        with self._lock:
            self._faults.append((fault, method, path, times))

    def mend(self) -> None:
        """Ends all faults and releases calls that hang."""
        with self._lock:
            self._faults.clear()
        self._released.set()
        self._released = threading.Event()

    def deployments(self, repository: str) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._deployments[repository.lower()])

    def statuses(self, deployment: int) -> list[dict[str, Any]]:
        """Returns the statuses, oldest first; the API lists them newest first."""
        with self._lock:
            return list(self._statuses.get(deployment, ()))

    def answer(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Answers and records one call."""
        parts = urlsplit(target)
        query, body = dict(parse_qsl(parts.query, keep_blank_values=True)), json.loads(raw) if raw else None
        found = self._fault(method, parts.path, headers) or self._route(
            method, parts.path, query, headers, body
        )
        with self._lock:
            self.calls.append(Call(method, parts.path, query, body, dict(headers), found.status))
        return found

    def _fault(self, method: str, path: str, headers: Mapping[str, str]) -> Answer | None:
        with self._lock:
            fault = self._take_fault(method, path)
            released = self._released
        if fault == "hang":
            released.wait(60)
        if fault == "echo":  # a proxy that echoes its request
            return Answer(500, {"message": f"cannot parse: {headers.get('authorization')}"})
        return {
            "502": Answer(502, {"message": "Server Error"}),
            "500": Answer(500, {"message": "Server Error"}),
            "422": Answer(
                422, {"message": "Validation Failed", "documentation_url": "https://docs.github.com/rest"}
            ),
            "202": Answer(202, {"message": "Auto-merged main into topic-branch on deployment."}),
            "307": Answer(
                307, {"message": "Moved Permanently"}, {"Location": f"{self.url}/repositories/1/deployments"}
            ),
            "rate-limit": Answer(
                403,
                {"message": "API rate limit exceeded for user ID 1."},
                {
                    "X-RateLimit-Remaining": "0",
                    "X-RateLimit-Reset": str(int(datetime.now(UTC).timestamp()) + 3600),
                },
            ),
            "garbage": Answer(200, b"<html>a proxy's page</html>"),
            "hang": Answer(503, {"message": "let go"}),
        }.get(fault)

    def _take_fault(self, method: str, path: str) -> str:
        for index, (fault, wanted, part, times) in enumerate(self._faults):
            if wanted in ("", method) and part in path:
                left = [(fault, wanted, part, times - 1)] if times > 1 else []
                self._faults[index : index + 1] = left
                return fault
        return ""

    def _route(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any
    ) -> Answer:
        bearer, ours = headers.get("authorization", "").split(" ")[-1], self._token
        if not is_app_token(bearer, self.app_key) if path.startswith("/app/") else ours and bearer != ours:
            return Answer(
                401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}
            )
        operation = self._contract.operation(method, path)
        if operation is None:
            return missing()
        wrong = self._contract.judge_request(operation, query, body)
        if headers.get("x-github-api-version") != VERSION:
            wrong.append(f"X-GitHub-Api-Version is not {VERSION}")
        if wrong:
            self.breaches += wrong
            return Answer(
                422, {"message": "; ".join(wrong), "documentation_url": "https://docs.github.com/rest"}
            )
        found = self._perform(operation, query, body)
        odd = self._contract.judge_answer(operation, found.status, found.body)
        self.breaches += [f"answer of {operation.id}: {text}" for text in odd]
        return found

    def _perform(self, operation: Operation, query: Mapping[str, str], body: Any) -> Answer:
        values = operation.values
        name = f"{values.get('owner')}/{values.get('repo')}"
        if "owner" in values and name.lower() not in self._contents:
            return missing()
        if operation.id in OPERATIONS:
            return answer(self.hooks, operation, query, self._contract, self.url)
        with self._lock:
            if found := self._read(operation, name, query) or self.comments.answer(
                operation, name, query, body
            ):
                return found
            match operation.id:
                case "repos/create-deployment":
                    return self._create_deployment(name, body)
                case "repos/list-deployments":
                    return Answer(200, self._list_deployments(name, query))
            return self._on_deployment(operation.id, name, values["deployment_id"], body)

    def _on_deployment(self, operation: str, name: str, id: str, body: Any) -> Answer:
        found = next((item for item in self._deployments[name.lower()] if str(item["id"]) == id), None)
        if found is None:
            return missing()
        if operation == "repos/get-deployment":
            return Answer(200, found)
        if operation == "repos/list-deployment-statuses":
            return Answer(200, self._statuses.get(found["id"], [])[::-1])
        return self._create_status(found, body)

    def _create_deployment(self, name: str, body: Mapping[str, Any]) -> Answer:
        if self._contents[name.lower()].files(body["ref"]) is None:
            return Answer(
                422,
                {
                    "message": f"No ref found for: {body['ref']}",
                    "documentation_url": "https://docs.github.com",
                },
            )
        id, now = sum(len(items) for items in self._deployments.values()) + 1, _now()
        environment, base = body.get("environment", "production"), f"{self.url}/repos/{name}"
        given = {
            "id": id,
            "sha": body["ref"],
            "ref": body["ref"],
            "task": body.get("task", "deploy"),
            "payload": body.get("payload", {}),
            "environment": environment,
            "original_environment": environment,
            "description": body.get("description"),
            "production_environment": body.get("production_environment", environment == "production"),
            "transient_environment": body.get("transient_environment", False),
            "url": f"{base}/deployments/{id}",
            "statuses_url": f"{base}/deployments/{id}/statuses",
            "repository_url": base,
            "created_at": now,
            "updated_at": now,
        }
        self._deployments[name.lower()].append(self._contract.example("deployment", given))
        return Answer(201, self._deployments[name.lower()][-1])

    def _list_deployments(self, name: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        wanted = {key: value for key, value in query.items() if key in ("sha", "ref", "task", "environment")}
        items = self._deployments[name.lower()][::-1]
        return [item for item in items if all(item[key] == value for key, value in wanted.items())]

    def _create_status(self, deployment: Mapping[str, Any], body: Mapping[str, Any]) -> Answer:
        log_url = body.get("log_url") or body.get("target_url", "")
        earlier, now = self._statuses.setdefault(deployment["id"], []), _now()
        given = {
            "id": len(earlier) + 1,
            "state": body["state"],
            "description": body.get("description", ""),
            "environment": body.get("environment", deployment["environment"]),
            "log_url": log_url,
            "target_url": log_url,
            "environment_url": body.get("environment_url", ""),
            "deployment_url": deployment["url"],
            "repository_url": deployment["repository_url"],
            "url": f"{deployment['statuses_url']}/{len(earlier) + 1}",
            "created_at": now,
            "updated_at": now,
        }
        earlier.append(self._contract.example("deployment-status", given))
        return Answer(201, earlier[-1])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    """Runs `python -m testing.github.rest_api --git owner/name=FOLDER --port 8500` until a signal ends it."""
    parser = argparse.ArgumentParser(
        description="A stand-in for GitHub's REST API, on real git repositories."
    )
    parser.add_argument("--git", action="append", required=True, metavar="OWNER/NAME=FOLDER")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default="")
    options = parser.parse_args()
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # before any thread starts: sigwait must receive them
    pairs = (text.partition("=") for text in options.git)
    with GitHubServer(
        {name: Path(folder) for name, _, folder in pairs}, token=options.token, port=options.port
    ) as github:
        print(github.url, flush=True)
        signal.sigwait(stops)


if __name__ == "__main__":
    main()
