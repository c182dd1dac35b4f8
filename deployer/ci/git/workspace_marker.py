"""A workspace that a run before this one filled, as a self-hosted runner keeps it. In: a workspace, the run.
Out: whether its content may be replaced.

The mark is a file in `.git`. Whoever fetches after us, actions/checkout for one, makes the workspace theirs.
"""

from __future__ import annotations

import json
from pathlib import Path

from deployer.ci.github.inputs import Context


def is_kept(context: Context) -> bool:
    """Whether another run of this repository filled the workspace, or began to, and nobody fetched since."""
    try:
        mark = json.loads(_mark(context).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(mark, dict) or (mark.get("repository"), mark.get("run")) == _stamp(context):
        return False
    return mark.get("repository") == context.repository and mark.get("fetched") in (None, _fetched(context))


def begin(context: Context) -> None:
    """Says that this run begins to fill the workspace; whatever becomes of it, it is ours."""
    _write(context, None)


def mark_filled(context: Context) -> None:
    """Says that this run filled the workspace."""
    _write(context, _fetched(context))


def _write(context: Context, fetched: int | None) -> None:
    repository, run = _stamp(context)
    mark = {"repository": repository, "run": run, "fetched": fetched}
    _mark(context).parent.mkdir(exist_ok=True)
    _mark(context).write_text(json.dumps(mark), encoding="utf-8")


def _stamp(context: Context) -> tuple[str, str]:
    return context.repository, f"{context.run_id}.{context.run.attempt}"


def _fetched(context: Context) -> int:
    """When somebody last fetched."""
    try:
        return (context.workspace / ".git" / "FETCH_HEAD").stat().st_mtime_ns
    except OSError:
        return 0


def _mark(context: Context) -> Path:
    return context.workspace / ".git" / "deployer-checkout.json"
