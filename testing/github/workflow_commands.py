"""Workflow commands in a step's output, as GitHub's runner reads them. In: lines. Out: the log, annotations,
forged outputs.

Both forms are obeyed, `::name::` at a line's start and `##[name]` anywhere, as the runner does; `set-output`
still works there, so that a step that prints untrusted text without care is visible here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_NEW = re.compile(r"\s*::(?P<name>[\w-]+)(?: (?P<properties>[^:]*))?::(?P<text>.*)")
_OLD = re.compile(r"##\[(?P<name>[\w-]+)(?: (?P<properties>[^\]]*))?\](?P<text>.*)")
_ANNOTATIONS = ("error", "warning", "notice")
_OTHERS = ("group", "endgroup", "debug", "add-mask", "stop-commands", "set-output", "save-state", "echo")


@dataclass(frozen=True)
class Annotation:
    """One message that GitHub shows beside the run."""

    kind: str
    title: str
    text: str


@dataclass
class Console:
    """One job's log. Masks last for the job, stopped commands for the step."""

    say: Callable[[str], None] | None = None
    lines: list[str] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    masks: list[str] = field(default_factory=list)
    _stop: str = ""

    def begin(self) -> None:
        """Begins a new step."""
        self.outputs, self._stop = {}, ""

    def read(self, line: str) -> None:
        """Reads one line of a step's output."""
        match = _NEW.match(line) or _OLD.search(line)
        name = match.group("name") if match else ""
        if self._stop:
            if name == self._stop:
                self._stop = ""
            else:
                self._print(line)
        elif match and name in (*_ANNOTATIONS, *_OTHERS):
            self._obey(name, match.group("properties") or "", _unescape(match.group("text")))
        else:
            self._print(line)

    def _obey(self, name: str, properties: str, text: str) -> None:
        named = dict(pair.partition("=")[::2] for pair in properties.split(",") if pair)
        if name in _ANNOTATIONS:
            self.annotations.append(
                Annotation(name, _unescape_property(named.get("title", "")), self._masked(text))
            )
            self._print(f"{name.capitalize()}: {text}")
        elif name == "add-mask" and text.strip():
            self.masks.append(text)
        elif name == "stop-commands":
            self._stop = text
        elif name == "set-output":
            self.outputs[named.get("name", "")] = text
        elif name == "group":
            self._print(f"▼ {text}")

    def _print(self, text: str) -> None:
        for line in self._masked(text).splitlines() or [""]:
            self.lines.append(line)
            if self.say:
                self.say(line)

    def _masked(self, text: str) -> str:
        for mask in sorted(self.masks, key=len, reverse=True):
            text = text.replace(mask, "***")
        return text


def _unescape(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _unescape_property(text: str) -> str:
    return _unescape(text.replace("%3A", ":").replace("%2C", ","))
