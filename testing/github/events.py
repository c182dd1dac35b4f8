"""GitHub's events for runs of the user's repository. In: kind of event, branch or tag, commit. Out: the
event's name, its ref, its payload.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

REPOSITORY, REPOSITORY_ID, OWNER_ID = "acme/shop", 4711, 815
_FORK = {"id": REPOSITORY_ID + 1, "full_name": "mallory/shop", "fork": True}


@dataclass(frozen=True)
class Occasion:
    """One reason for a workflow run."""

    event: str
    ref: str
    payload: dict[str, Any] = field(repr=False)


def occasion(kind: str, name: str, sha: str) -> Occasion:
    """Returns an event: `push` and `pull_request` of a branch, `fork` for a pull request from a fork, `tag`
    for a tag's push.
    """
    if kind in ("pull_request", "fork"):
        return Occasion("pull_request", "refs/pull/7/merge", _pull_request(name, sha, fork=kind == "fork"))
    ref = f"refs/tags/{name}" if kind == "tag" else f"refs/heads/{name}"
    return Occasion("push", ref, _push(ref, sha))


def _repository() -> dict[str, Any]:
    return {
        "id": REPOSITORY_ID,
        "full_name": REPOSITORY,
        "default_branch": "main",
        "owner": {"id": OWNER_ID},
    }


def _pull_request(branch: str, sha: str, *, fork: bool) -> dict[str, Any]:
    base = {"id": REPOSITORY_ID, "full_name": REPOSITORY}
    pull = {
        "number": 7,
        "merged": False,
        "head": {"ref": branch, "sha": sha, "repo": _FORK if fork else base},
        "base": {"ref": "main", "sha": sha, "repo": base},
    }
    return {"action": "synchronize", "number": 7, "pull_request": pull, "repository": _repository()}


def _push(ref: str, sha: str) -> dict[str, Any]:
    return {
        "ref": ref,
        "before": "1" * 40,
        "after": sha,
        "created": False,
        "deleted": False,
        "head_commit": {"id": sha, "message": f"commit {sha[:7]}"},
        "repository": _repository(),
    }
