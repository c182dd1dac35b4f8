"""A workspace that a run before this one filled, as a self-hosted runner keeps it. In: a workspace, the run.
Out: whether its content may be replaced.

The mark is a file in `.git`. Whoever fetches after us, actions/checkout for one, makes the workspace theirs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deployer.ci.context import Context


def is_kept(context: Context) -> bool:
    """Whether another run of this repository filled the workspace, and nobody has fetched into it since."""
    try:
        mark = json.loads(_mark(context).read_text(encoding="utf-8"))
        now = _stamp(context)
    except (OSError, ValueError):
        return False
    if not isinstance(mark, dict) or mark.get("run") == now["run"]:
        return False
    return {**mark, "run": now["run"]} == now


def mark_filled(context: Context) -> None:
    """Says that this run filled the workspace."""
    _mark(context).write_text(json.dumps(_stamp(context)), encoding="utf-8")


def _stamp(context: Context) -> dict[str, Any]:
    fetched = (context.workspace / ".git" / "FETCH_HEAD").stat().st_mtime_ns
    run = f"{context.run_id}.{context.run.attempt}"
    return {"repository": context.repository, "run": run, "fetched": fetched}


def _mark(context: Context) -> Path:
    return context.workspace / ".git" / "deployer-checkout.json"
