"""Children of a verb: their output is text, and they get nothing that steers the workflow."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

from deployer.ci.child_processes import capture, child_environment, stream
from deployer.ci.github import workflow_commands
from deployer.core.errors import CommandFailed
from testing.github.workflow_commands import Console

SHELL = ["bash", "-c"]


@pytest.fixture
def console(capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Console]:
    """Reads what was printed when the test asks for `console.lines`."""

    class Late(Console):
        def catch_up(self) -> Console:
            sys.stdout.flush()
            for line in capfdbinary.readouterr().out.decode("utf-8", "replace").split("\n"):
                self.read(line)
            return self

    yield Late()


@pytest.mark.parametrize(
    "script",
    [
        "echo '::set-output name=mode::deploy'",
        "echo '::error::forged' >&2",
        "echo '##[set-output name=mode]deploy'",
        "echo '::stop-commands::mine'; echo '::mine::'; echo '::error::forged'",
        "printf 'no newline at the end'",
        "printf '::error::forged'",
        r"printf '\xff\xfe::error::forged\n'",
        "(sleep 0.2; echo '::error::forged') & exit 0",
        "yes '::error::forged' | head -20000",
    ],
)
def test_a_hostile_childs_output_is_text(script: str, console: Console) -> None:
    assert stream([*SHELL, script]).code == 0
    workflow_commands.notice("ours", title="t")
    read = console.catch_up()  # type: ignore[attr-defined]
    assert [(one.kind, one.text) for one in read.annotations] == [("notice", "ours")]
    assert read.outputs == {}


def test_a_noisy_child_left_behind_neither_hangs_the_step_nor_speaks_after_it(console: Console) -> None:
    started = time.monotonic()
    assert stream([*SHELL, "(while :; do echo '::error::forged'; done) & exit 3"]).code == 3
    assert time.monotonic() - started < 40
    workflow_commands.notice("ours", title="t")
    read = console.catch_up()  # type: ignore[attr-defined]
    assert [one.text for one in read.annotations] == ["ours"]


def test_a_child_that_closes_its_output_is_waited_for() -> None:
    assert stream([*SHELL, "exec >&- 2>&-; sleep 0.3; exit 4"]).code == 4


def test_the_last_line_says_why(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert stream([*SHELL, "echo first; echo 'the cause'; echo; exit 1"]).last_line == "the cause"


def test_a_child_gets_no_token_no_input_and_no_command_file(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = (
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_RUNTIME_TOKEN",
        "DEPLOYER_INPUT_REGISTRY_PASSWORD", "INPUT_REGISTRY-PASSWORD", "GITHUB_OUTPUT", "GITHUB_ENV",
        "GITHUB_PATH", "GITHUB_STATE",
    )  # fmt: skip
    for name in (*taken, "APP_URL", "GITHUB_SHA"):
        monkeypatch.setenv(name, "x")
    seen = capture(["env"]).splitlines()
    assert {"APP_URL=x", "GITHUB_SHA=x"} <= set(seen)
    assert not [line for line in seen if line.partition("=")[0] in taken]
    assert child_environment({"GITHUB_OUTPUT": "given"})["GITHUB_OUTPUT"] == "given"


def test_a_failed_capture_carries_the_childs_words_and_not_its_argv() -> None:
    with pytest.raises(CommandFailed, match="exit code 5: no such thing") as caught:
        capture([*SHELL, "echo no such thing >&2; exit 5", "hidden"])
    assert "hidden" not in str(caught.value)


def test_a_command_that_does_not_exist_is_an_expected_failure() -> None:
    with pytest.raises(CommandFailed, match="cannot be started"):
        capture(["/no/such/command"])


def test_a_capture_ends_at_its_timeout() -> None:
    with pytest.raises(CommandFailed, match="did not end"):
        capture(["sleep", "60"], timeout=0.2)


def test_text_goes_by_stdin() -> None:
    assert capture(["cat"], text="secret") == "secret"
    assert "secret" not in os.environ.values()
