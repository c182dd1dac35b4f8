"""Pull request comments of the stand-in for GitHub. In: text. Out: comments as GitHub shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testing.github.openapi_contract import Contract, Operation
from testing.github.repository_reads import missing
from testing.http_stub import Answer


class Comments:
    """Comments of all repositories; a workflow's token writes as a bot."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._of: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._count = 0

    def of(self, repository: str, number: int | str) -> list[dict[str, Any]]:
        """Returns a pull request's comments, oldest first."""
        return self._of.setdefault((repository.lower(), str(number)), [])

    def answer(self, operation: Operation, name: str, query: Mapping[str, str], body: Any) -> Answer | None:
        """Answers an operation on comments; None for any other operation."""
        values = operation.values
        match operation.id:
            case "issues/list-comments":
                return self.list(name, values["issue_number"], query)
            case "issues/create-comment":
                return self.add(name, values["issue_number"], body["body"])
            case "issues/update-comment":
                return self.change(name, values["comment_id"], body["body"]) or missing()
        return None

    def list(self, repository: str, number: str, query: Mapping[str, str]) -> Answer:
        size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
        return Answer(200, self.of(repository, number)[size * (page - 1) : size * page])

    def add(self, repository: str, number: str, text: str, *, kind: str = "Bot") -> Answer:
        self._count += 1
        user = self._contract.example("simple-user", {"login": "github-actions[bot]", "type": kind})
        given = {"id": self._count, "body": text, "user": user, "author_association": "NONE"}
        self.of(repository, number).append(self._contract.example("issue-comment", given))
        return Answer(201, self.of(repository, number)[-1])

    def change(self, repository: str, id: str, text: str) -> Answer | None:
        for (name, _), comments in self._of.items():
            for comment in comments:
                if name == repository.lower() and str(comment["id"]) == id:
                    comment["body"] = text
                    return Answer(200, comment)
        return None
