"""Annotations on the code lines that a failed test names. In: the end of its output. Out: annotations on
those lines.

Recognises `FILE:LINE: text` as pytest, compilers and linters print it, and `(FILE:LINE:COLUMN)` as Node does.
Never annotates a file outside the repository: the output is untrusted text of a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from deployer.ci.github import workflow_commands

_MOST = 10  # GitHub shows ten errors of a step
_NAMED = re.compile(
    r"^\s*(?:(?P<file>[\w./@-]+):(?P<line>\d{1,6})(?::\d+)?:?(?P<text>\s.*)"
    r"|.*\((?P<inner>[\w./@-]+):(?P<at>\d{1,6}):\d+\).*)$",
    re.MULTILINE,
)


def point_at(output: str, workspace: Path) -> None:
    """Writes one `::error` for each code line that the output names, at most ten."""
    for file, line, text in list(dict.fromkeys(_places(output, workspace)))[:_MOST]:
        workflow_commands.error_at(file, line, text, title="deployer test")


def _places(output: str, workspace: Path) -> Iterator[tuple[str, int, str]]:
    root = workspace.resolve()
    for match in _NAMED.finditer(output):
        path = _file(root, match["file"] or match["inner"])
        if path:
            text = (match["text"] or match.group()).strip() or "a test failed here"
            yield str(path.relative_to(root)), int(match["line"] or match["at"]), text


def _file(root: Path, name: str) -> Path | None:
    """Returns the regular file of the repository with this name."""
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # too long, a link that leads to itself
        return None
