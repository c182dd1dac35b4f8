"""Children as real processes: what they get, what comes back, and that nothing of them stays."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployer.adapters.system.limited_process import ExitedWithError, run
from deployer.core.errors import CommandFailed
from testing.docker.docker_cli import ROOT, wait_for

SECRET = "canary-5f3a9c71"


def shell(line: str) -> list[str]:
    return ["sh", "-c", line]


def is_alive(pid: int) -> bool:
    """A zombie that nobody waited for yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_in(path: Path) -> int:
    return int(wait_for("the grandchild's number", lambda: path.exists() and path.read_text().strip()))


def test_both_streams_come_back() -> None:
    result = run(shell("echo out; echo err >&2"), timeout=10)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


def test_a_child_gets_its_own_environment_and_nothing_of_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_SECRET", SECRET)
    names = {
        line.partition("=")[0] for line in run(["env"], timeout=10, environment={"A": "1"}).stdout.split("\n")
    }
    assert "A" in names and not names & {"PATH", "HOME", "SERVER_SECRET"}


def test_a_child_runs_where_it_is_told_to(tmp_path: Path) -> None:
    assert run(["pwd"], timeout=10, folder=str(tmp_path)).stdout.strip() == str(tmp_path)


def test_a_kept_descriptor_travels_and_no_other_does(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w") as kept, (tmp_path / "b").open("w") as other:
        line = f"echo x >&{kept.fileno()}; ls /proc/self/fd"
        listed = run(["bash", "-c", line], timeout=10, keep=[kept.fileno()]).stdout.split()
        assert str(other.fileno()) not in listed
    assert (tmp_path / "a").read_text() == "x\n"


@pytest.mark.parametrize("ending", ["wait", "exit 0"])
def test_when_its_time_is_over_what_the_child_started_ends_too(tmp_path: Path, ending: str) -> None:
    """Also a grandchild whose parent has long gone and that only keeps a stream open."""
    begun = time.monotonic()
    with pytest.raises(CommandFailed, match="sh -c did not end within 1 s"):
        run(shell(f"sleep 300 & echo $! > {tmp_path}/pid; {ending}"), timeout=1)
    assert time.monotonic() - begun < 30
    pid = pid_in(tmp_path / "pid")
    wait_for("the grandchild's end", lambda: not is_alive(pid), 10)


def test_a_child_that_closes_its_streams_and_stays_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="did not end"):
        run(shell(f"echo $$ > {tmp_path}/pid; exec sleep 300 >&- 2>&-"), timeout=1)
    pid = pid_in(tmp_path / "pid")
    wait_for("the child's end", lambda: not is_alive(pid), 10)


@pytest.mark.parametrize("line", ["yes", "yes >&2", "head -c 8000001 /dev/zero"])
def test_a_child_that_prints_too_much_is_stopped_and_not_kept(line: str) -> None:
    with pytest.raises(CommandFailed, match="printed more than 8 MB"):
        run(shell(line), timeout=60)


def test_much_output_on_both_streams_comes_whole() -> None:
    code = "import sys; [(print('o' * 999), print('e' * 999, file=sys.stderr)) for _ in range(2000)]"
    result = run([sys.executable, "-c", code], timeout=60)
    assert (len(result.stdout), len(result.stderr)) == (2_000_000, 2_000_000)


def test_a_failure_carries_the_code_and_the_last_words() -> None:
    with pytest.raises(ExitedWithError, match=r"sh -c ended with code 3: [^\0]*the reason$") as failed:
        run(shell("yes filler | head -c 9000 >&2; echo the reason >&2; exit 3"), timeout=10)
    assert len(str(failed.value)) < 2_200


def test_a_secret_is_hidden_before_anything_is_cut() -> None:
    filler = "x" * (2_000 - len(SECRET) // 2)  # the cut would go through the middle of it
    with pytest.raises(ExitedWithError) as failed:
        run(
            shell(f"printf '%s\\n' '{SECRET}{filler}' >&2; exit 1"),
            timeout=10,
            hide=lambda text: text.replace(SECRET, "*"),
        )
    assert SECRET[-6:] not in str(failed.value) and SECRET not in failed.value.stderr


def test_a_command_that_is_not_there_says_so() -> None:
    with pytest.raises(CommandFailed, match="no-such-command cannot be started") as failed:
        run(["no-such-command"], timeout=10)
    assert "is it installed" in failed.value.hint


LEFT_OVER = """
import contextlib, os
from deployer.adapters.system.limited_process import run
from deployer.core.errors import CommandFailed
before = os.listdir("/proc/self/fd")
for line in ("exit 0", "exit 1", "exec sleep 300"):
    with contextlib.suppress(CommandFailed):
        run(["sh", "-c", line], timeout=0.5)
assert len(os.listdir("/proc/self/fd")) == len(before)
with contextlib.suppress(ChildProcessError):
    raise SystemExit(f"a child was not waited for: {os.waitpid(-1, os.WNOHANG)}")
"""


def test_no_descriptor_and_no_zombie_is_left() -> None:
    argv = [sys.executable, "-c", LEFT_OVER]
    done = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
