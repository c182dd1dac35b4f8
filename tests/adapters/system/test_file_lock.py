"""The lock between real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deployer.adapters.system.file_lock import hold
from deployer.core.errors import Busy, StoreUnavailable
from testing.docker.docker_cli import ROOT, wait_for

HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from deployer.adapters.system.file_lock import hold
with hold(Path(sys.argv[1])) as descriptor:
    child = subprocess.Popen(["sleep", "300"], pass_fds=[descriptor])
    print(child.pid, flush=True)
    time.sleep(300)
"""


def start_holder(path: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that holds the lock, and the number of its child, which holds it as well."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    return holder, int(holder.stdout.readline())


def is_free(path: Path) -> bool:
    try:
        with hold(path, wait=0.0):
            return True
    except Busy:
        return False


def test_a_lock_outlives_its_killed_holder_until_the_holders_child_is_done(tmp_path: Path) -> None:
    path = tmp_path / "new" / "shop.lock"
    holder, child = start_holder(path)
    with holder:
        try:
            assert not is_free(path)
            holder.kill()
            holder.wait()
            assert not is_free(path)
        finally:
            holder.kill()
            os.kill(child, signal.SIGKILL)
    wait_for("the lock", lambda: is_free(path), 10)


def test_busy_is_its_own_failure_and_names_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "shop.lock"
    with hold(path), pytest.raises(Busy, match=r"another process holds shop\.lock") as busy:
        hold(path, wait=0.1).__enter__()
    assert busy.value.code == "busy" and "second deployer" in busy.value.hint


def test_who_waits_gets_the_lock_when_it_is_given_up(tmp_path: Path) -> None:
    path, taken = tmp_path / "shop.lock", threading.Event()

    def take() -> None:
        with hold(path, wait=30):
            taken.set()

    waiting = threading.Thread(target=take)
    with hold(path):
        waiting.start()
        assert not taken.wait(0.2)
    assert taken.wait(10)
    waiting.join()


def test_a_lock_that_cannot_be_opened_is_an_expected_failure(tmp_path: Path) -> None:
    (tmp_path / "shop.lock").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "shop.lock", tmp_path / "file" / "shop.lock"):
        with pytest.raises(StoreUnavailable, match=str(tmp_path)), hold(path):
            pass
