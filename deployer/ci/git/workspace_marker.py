"""Marker for a workspace that a previous run filled, as a self-hosted runner keeps it. In: a workspace, the
run. Out: the permission to replace its content.

The marker is a file in `.git`. A later fetch by another program, such as actions/checkout, invalidates it:
the workspace then belongs to that program.
"""

from __future__ import annotations

import json
from pathlib import Path

from deployer.ci.github.inputs import Context


def is_kept(context: Context) -> bool:
    """True if another run of this repository filled the workspace, or began to, and no other program fetched
    since.
    """
    try:
        mark = json.loads(_mark(context).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(mark, dict) or (mark.get("repository"), mark.get("run")) == _stamp(context):
        return False
    return mark.get("repository") == context.repository and mark.get("fetched") in (None, _fetched(context))


def begin(context: Context) -> None:
    """Marks that this run begins to fill the workspace; from now on the workspace is ours, also after a
    failure.
    """
    _write(context, None)


def mark_filled(context: Context) -> None:
    """Marks that this run filled the workspace."""
    _write(context, _fetched(context))


def _write(context: Context, fetched: int | None) -> None:
    repository, run = _stamp(context)
    mark = {"repository": repository, "run": run, "fetched": fetched}
    _mark(context).parent.mkdir(exist_ok=True)
    _mark(context).write_text(json.dumps(mark), encoding="utf-8")


def _stamp(context: Context) -> tuple[str, str]:
    return context.repository, f"{context.run_id}.{context.run.attempt}"


def _fetched(context: Context) -> int:
    """Returns the time of the last fetch in ns, 0 if there was none."""
    try:
        return (context.workspace / ".git" / "FETCH_HEAD").stat().st_mtime_ns
    except OSError:
        return 0


def _mark(context: Context) -> Path:
    return context.workspace / ".git" / "deployer-checkout.json"
