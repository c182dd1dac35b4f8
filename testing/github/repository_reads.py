"""Reading operations of the stand-in for GitHub. In: one operation. Out: its answer, None for any other
operation.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testing.github.openapi_contract import Contract, Operation
from testing.github.repository_content import Content
from testing.http_stub import Answer


class Reading:
    """Answers operations on a repository, its files, trees and refs."""

    _contents: dict[str, Content]
    _contract: Contract
    truncated: bool

    @property
    def url(self) -> str:
        raise NotImplementedError

    def _read(self, operation: Operation, name: str, query: Mapping[str, str]) -> Answer | None:
        match operation.id:
            case "repos/get":
                return Answer(200, self._repository(name))
            case "repos/get-content":
                return self._content(name, operation.values["path"], query.get("ref", "HEAD"))
            case "git/get-tree":
                return self._tree(name, operation.values["tree_sha"], "recursive" in query)
            case "git/get-ref":
                return self._ref(name, operation.values["ref"])
            case "repos/compare-commits-with-basehead":
                return self._comparison(name, *operation.values["basehead"].split("..."))
            case "repos/list-branches-for-head-commit":
                return self._heads(name, operation.values["commit_sha"])
        return None

    def _repository(self, name: str) -> dict[str, Any]:
        owner = self._contract.example("simple-user", {"login": name.partition("/")[0]})
        given = {"name": name.partition("/")[2], "full_name": name, "owner": owner, "default_branch": "main"}
        return self._contract.example("full-repository", given)

    def _content(self, name: str, path: str, revision: str) -> Answer:
        files = self._contents[name.lower()].files(revision)
        if files is None or path not in files:
            return missing()
        raw = self._contents[name.lower()].read(revision, path)
        small = len(raw) <= 1_048_576  # larger files have no content in the JSON form
        given = {
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": files[path].sha,
            "size": len(raw),
            "encoding": "base64" if small else "none",
            "content": base64.encodebytes(raw).decode() if small else "",
            "url": f"{self.url}/repos/{name}/contents/{path}?ref={revision}",
        }
        return Answer(200, self._contract.example("content-file", given))

    def _tree(self, name: str, revision: str, recursive: bool) -> Answer:
        files = self._contents[name.lower()].files(revision)
        if files is None:
            return missing()
        folders = sorted(
            {str(folder) for path in files for folder in Path(path).parents if str(folder) != "."}
        )
        entries: list[dict[str, Any]] = [
            {"path": folder, "mode": "040000", "type": "tree", "sha": "0" * 40} for folder in folders
        ]
        for path, file in files.items():
            entries.append(
                {"path": path, "mode": file.mode, "type": "blob", "sha": file.sha, "size": file.size}
            )
        shown = [entry for entry in entries if recursive or "/" not in entry["path"]]
        return Answer(200, {"sha": revision, "truncated": self.truncated, "tree": shown})

    def _ref(self, name: str, ref: str) -> Answer:
        kind, _, short = ref.partition("/")
        content = self._contents[name.lower()]
        commit = content.tip(short) if kind == "heads" else content.tags().get(short, "")
        if not commit:
            return missing()
        target = {"type": "commit", "sha": commit, "url": f"{self.url}/repos/{name}/git/commits/{commit}"}
        return Answer(200, self._contract.example("git-ref", {"ref": f"refs/{ref}", "object": target}))

    def _comparison(self, name: str, base: str, head: str) -> Answer:
        content = self._contents[name.lower()]
        if content.files(base) is None or content.files(head) is None:
            return missing()
        behind, ahead = content.contains(base, head), content.contains(head, base)
        status = {(True, True): "identical", (True, False): "behind", (False, True): "ahead"}
        given = {"status": status.get((behind, ahead), "diverged"), "commits": []}
        return Answer(200, self._contract.example("commit-comparison", given))

    def _heads(self, name: str, commit: str) -> Answer:
        content = self._contents[name.lower()]
        target = {"sha": commit, "url": f"{self.url}/repos/{name}/commits/{commit}"}
        names = [branch for branch in content.branches() if content.tip(branch) == commit]
        shown = [{"name": branch, "commit": target, "protected": False} for branch in names]
        return Answer(200, [self._contract.example("branch-short", one) for one in shown])


def missing() -> Answer:
    return Answer(
        404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}
    )
