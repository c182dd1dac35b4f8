"""Child processes as real ones: what they are fed, what ends them, and by whom they are started."""

from __future__ import annotations

import ast
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from deployer.io.subprocesses import Limits, NotEnded, NotStarted, PrintedTooMuch, run, stream
from testing.docker.docker_cli import ROOT, wait_for

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
_Made = TypeVar("_Made")


def shell(line: str) -> list[str]:
    return ["sh", "-c", line]


def test_a_text_larger_than_a_pipe_arrives_while_the_output_is_read() -> None:
    text = bytes(range(256)) * 8_000
    done = run(["cat"], environment=ENVIRONMENT, limits=Limits(30), text=text)
    assert (done.code, done.stdout == text, done.stderr) == (0, True, b"")


@pytest.mark.parametrize("line", ["exec <&-; sleep 0.2; echo out", "echo out"])
def test_a_child_that_does_not_read_its_text_ends_like_any_other(line: str) -> None:
    done = run(shell(line), environment=ENVIRONMENT, limits=Limits(30), text=b"x" * 1_000_000)
    assert (done.code, done.stdout) == (0, b"out\n")


@pytest.mark.parametrize("text", [None, b""])
def test_without_a_text_stdin_is_at_its_end(text: bytes | None) -> None:
    done = run(["cat"], environment=ENVIRONMENT, limits=Limits(30), text=text)
    assert (done.code, done.stdout) == (0, b"")


def test_a_child_without_a_group_of_its_own_is_ended_alone_and_at_once(tmp_path: Path) -> None:
    """Its own child keeps both streams open and stays; nothing waits for it."""
    line = f"sleep 20 & echo $! > {tmp_path}/pid; exec sleep 300"
    begun = time.monotonic()
    with pytest.raises(NotEnded):
        run(shell(line), environment=ENVIRONMENT, limits=Limits(1), own_group=False)
    assert time.monotonic() - begun < 15
    pid = int(wait_for("the grandchild's number", (tmp_path / "pid").read_text).strip())
    assert Path(f"/proc/{pid}").exists()


def test_output_and_memory_are_limited_only_where_a_limit_is_given() -> None:
    much = ["head", "-c", "9000000", "/dev/zero"]
    assert len(run(much, environment=ENVIRONMENT, limits=Limits(30)).stdout) == 9_000_000
    with pytest.raises(PrintedTooMuch):
        run(much, environment=ENVIRONMENT, limits=Limits(30, output=8_000_000))
    greedy = [sys.executable, "-c", "import time; time.sleep(0.5); bytearray(10**9)"]
    assert run(greedy, environment=ENVIRONMENT, limits=Limits(30)).code == 0
    assert b"MemoryError" in run(greedy, environment=ENVIRONMENT, limits=Limits(30, memory=10**9)).stderr


def test_a_child_gets_the_given_environment_and_no_other() -> None:
    listed = run(["/usr/bin/env"], environment={"A": "1"}, limits=Limits(30))
    assert listed.stdout == b"A=1\n"


def test_a_command_that_is_not_there_has_the_systems_reason() -> None:
    for start in (
        lambda: run(["/no/such"], environment={}, limits=Limits(1)),
        lambda: stream(["/no/such"], environment={}, write=lambda _: None),
    ):
        with pytest.raises(NotStarted) as caught:
            start()
        assert caught.value.reason == "No such file or directory"


@dataclass
class InThread:
    """A restriction that records the thread that started the child."""

    user: int | None = None
    groups: list[int] | None = None
    threads: list[str] = field(default_factory=list)

    def start(self, start: Callable[[], _Made]) -> _Made:
        made: list[_Made] = []

        def begin() -> None:
            self.threads.append(threading.current_thread().name)
            made.append(start())

        thread = threading.Thread(target=begin, name="restricted")
        thread.start()
        thread.join()
        return made[0]


def test_a_restriction_starts_the_child() -> None:
    restriction = InThread()
    done = run(shell("echo x"), environment=ENVIRONMENT, limits=Limits(30), restriction=restriction)
    assert (done.stdout, restriction.threads) == (b"x\n", ["restricted"])


def test_no_other_module_starts_processes() -> None:
    """Nor speaks HTTP by itself, but the probes of replicas, which measure."""
    found = {"subprocess": set[str](), "http.client": set[str](), "urllib.request": set[str]()}
    for path in (ROOT / "deployer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in set(names) & set(found):
                found[name].add(str(path.relative_to(ROOT / "deployer")))
    assert found == {
        "subprocess": {"io/subprocesses.py"},
        "http.client": {
            "io/http_client.py",
            "io/http_connections.py",
            "adapters/probes/single_request.py",
        },
        "urllib.request": {"io/http_connections.py"},
    }
