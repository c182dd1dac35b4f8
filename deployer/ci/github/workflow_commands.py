"""GitHub's workflow commands and files. In: text of any origin. Out: log lines, outputs, the summary.

Every foreign text leaves through here, and never as a command; nothing writes GITHUB_ENV or GITHUB_PATH.
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#|~!&@]|:(?=//)|(?<=www)\.)")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~/%?=&+-]*)?")
_REASON_LENGTH = 4000


def escape(text: str) -> str:
    """Escapes a command's message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escapes a command's property value."""
    return escape(text).replace(":", "%3A").replace(",", "%2C")


def plain(text: str) -> str:
    """Returns the text in a form that the runner reads as text: no command (`::x::`, `##[x]`), no control
    characters.
    """
    return "\n".join(_plain_line(line) for line in text.splitlines())


def _plain_line(line: str) -> str:
    clean = _CONTROL.sub(" ", line).replace("##[", "## [")
    return f"> {clean}" if clean.strip().startswith("::") else clean


def cell(text: str) -> str:
    """Returns the text as one cell of a Markdown table, with all Markdown and HTML escaped."""
    return _MARKUP.sub(r"\\\1", " ".join(_CONTROL.sub(" ", text).split()))


def link(url: str) -> str:
    """Returns the address as a link that shows itself; what is no plain address of the web stays text."""
    return f"<{url}>" if _ADDRESS.fullmatch(url) else cell(url)


def say(text: str) -> None:
    """Prints text of any origin."""
    emit(plain(text))


def emit(line: str) -> None:
    """Prints a line unchanged and flushes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def error(text: str, *, title: str) -> None:
    _annotate("error", text, title)


def error_at(file: str, line: int, text: str, *, title: str) -> None:
    """Writes an error that GitHub shows beside a line of the code."""
    place = f"title={escape_property(title)},file={escape_property(file)},line={line}"
    emit(f"::error {place}::{escape(text[:_REASON_LENGTH])}")


def warning(text: str, *, title: str) -> None:
    _annotate("warning", text, title)


def notice(text: str, *, title: str) -> None:
    _annotate("notice", text, title)


def _annotate(kind: str, text: str, title: str) -> None:
    emit(f"::{kind} title={escape_property(title)}::{escape(text[:_REASON_LENGTH])}")


def mask(secret: str) -> None:
    """Hides a secret in every later line; the runner masks line by line."""
    for line in secret.splitlines():
        if line.strip():
            emit(f"::add-mask::{escape(line)}")


@contextmanager
def group(title: str) -> Iterator[None]:
    """Folds a part of the log."""
    emit(f"::group::{escape(title)}")
    try:
        yield
    finally:
        emit("::endgroup::")


@contextmanager
def commands_stopped() -> Iterator[None]:
    """Stops workflow commands: the runner treats everything printed inside as text, above all a child's
    output.
    """
    token = os.urandom(16).hex()
    emit(f"::stop-commands::{token}")
    try:
        yield
    finally:
        emit(f"::{token}::")


def set_output(name: str, value: str) -> None:
    """Sets one output of this step. The author of the value cannot guess the delimiter."""
    delimiter = f"ghadelimiter_{os.urandom(16).hex()}"
    _append("GITHUB_OUTPUT", f"{name}<<{delimiter}\n{value}\n{delimiter}\n")


def add_summary(markdown: str) -> None:
    """Adds to the summary of this step."""
    _append("GITHUB_STEP_SUMMARY", f"{markdown}\n")


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable)
    if path:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
