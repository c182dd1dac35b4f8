"""The server's log on standard error. In: log records. Out: one JSON object a line for machines, short lines
on a terminal.

Every object has `time`, `level`, `event`, `logger` and `message`; lines about a deployment also have
`deployment`, `app`, `environment` and `status` (`core/reporting/log_fields.py`). Text from outside is escaped
by JSON, so that no name or message can start a line of its own or colour a terminal.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class _Lines(logging.Formatter):
    """Formats one JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": "note",
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Words(logging.Formatter):
    """Formats short lines for a terminal: control characters are shown, not obeyed."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        trace = self.formatException(record.exc_info).splitlines() if record.exc_info else []
        lines = "\n".join(map(_shown, [record.getMessage(), *trace]))
        return f"{moment} {record.levelname.lower():<7} {lines}"


def _shown(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


def start_log() -> None:
    """Sends the package's log, and the libraries' warnings, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Words() if sys.stderr.isatty() else _Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("deployer").setLevel(logging.INFO)
