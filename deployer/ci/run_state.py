"""State between the verbs of a run: JSON files in `$RUNNER_TEMP/deployer-<run id>/`, for this user only.

Holds the rendered Compose model, which may carry the workflow's secrets: `report` removes the folder.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class StepResult:
    """Result of a verb, with its duration in `seconds`."""

    done: bool
    reason: str
    seconds: float
    hint: str = ""


def folder() -> Path:
    """Returns the run's folder, created if it does not exist."""
    run = "".join(letter for letter in os.environ.get("GITHUB_RUN_ID", "") if letter.isalnum()) or "local"
    path = Path(os.environ.get("RUNNER_TEMP") or "/tmp") / f"deployer-{run}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def clear() -> None:
    """Removes the state, before a run's first verb and after its last."""
    shutil.rmtree(folder(), ignore_errors=True)


def save(name: str, value: object) -> Path:
    """Stores a JSON value and returns its file."""
    return save_text(f"{name}.json", json.dumps(value))


def save_text(name: str, text: str) -> Path:
    """Stores a file atomically and returns its path."""
    path = folder() / name
    new = path.with_name(f"{path.name}.new")
    with open(new, "w", encoding="utf-8", opener=_private) as file:
        file.write(text)
    return new.replace(path)


def load(name: str, default: Any = None) -> Any:
    """Returns the stored value, or `default` if the file is missing or damaged."""
    try:
        return json.loads((folder() / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default


def record(verb: str, verdict: StepResult) -> None:
    """Stores the result of a verb; `report` is the last and leaves nothing."""
    if verb != "report":
        save("verdicts", {**load("verdicts", {}), verb: asdict(verdict)})


def verdicts() -> dict[str, StepResult]:
    """Returns verb → result, in the order of the verbs' runs."""
    return {verb: StepResult(**fields) for verb, fields in load("verdicts", {}).items()}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
