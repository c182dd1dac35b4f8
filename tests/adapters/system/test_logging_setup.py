"""The log as a process writes it: to a pipe for machines, to a terminal for people."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import datetime

import pytest

from testing.docker.docker_cli import ROOT

PROGRAM = r"""
import logging
import pytest

from deployer.adapters.system.logging_setup import start_log
start_log()
log = logging.getLogger("deployer.test")
HOSTILE = "x\n{\"level\": \"fake\"}\r\x1b[2J\u2028\u2029\u202e\u2066\x85\x9b\ud800\0y"
log.info("hello %s", "a\nFAKE line \x1b[31mred")
log.info("by %s", HOSTILE, extra={"facts": {"event": "deployment-ended", "app": HOSTILE, "deployment": "d1"}})
log.debug("too small to tell")
logging.getLogger("urllib3").info("too small to tell")
try:
    raise ValueError("first\nFAKE second \x1b[31mred")
except ValueError:
    log.exception("broke")
"""
ARGV = [sys.executable, "-c", PROGRAM]


def on_a_terminal() -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(ARGV, cwd=ROOT, stderr=theirs):
        os.close(theirs)
        parts: list[bytes] = []
        try:
            while part := os.read(ours, 4096):
                parts.append(part)
        except OSError:  # how a terminal ends on Linux
            pass
    os.close(ours)
    return b"".join(parts).decode()


@pytest.mark.case("D05")
def test_machines_get_one_object_a_line() -> None:
    done = subprocess.run(ARGV, cwd=ROOT, capture_output=True, text=True, check=True)
    first, _, second = (json.loads(line) for line in done.stderr.splitlines())
    assert first["message"] == "hello a\nFAKE line \x1b[31mred"
    assert (first["level"], first["logger"], first["event"]) == ("info", "deployer.test", "note")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert "ValueError: first" in second["exception"] and "exception" not in first
    assert done.stdout == ""


@pytest.mark.case("D05")
def test_on_a_terminal_nothing_from_outside_starts_a_line_or_colours_it() -> None:
    text = on_a_terminal()
    assert "info    hello a\\nFAKE line \\x1b[31mred" in text
    assert "ValueError: first" in text and "\x1b" not in text
    assert not [line for line in text.splitlines() if line.startswith("FAKE line")]
    assert len([line for line in text.splitlines() if "error   broke" in line]) == 1


def test_hostile_text_stays_one_line_and_plain_for_machines_and_for_people() -> None:
    done = subprocess.run(ARGV, cwd=ROOT, capture_output=True, check=True)
    line = done.stderr.splitlines()[1]
    assert line.isascii() and all(32 <= byte < 127 for byte in line)
    told = json.loads(line)
    assert (told["event"], told["deployment"]) == ("deployment-ended", "d1")
    assert told["app"].startswith("x\n{") and told["app"].endswith("y") and told["level"] == "info"
    shown = [line for line in on_a_terminal().splitlines() if "by x" in line]
    assert len(shown) == 1 and shown[0].isascii() and shown[0].isprintable() and shown[0].endswith("y")
