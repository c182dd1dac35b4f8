"""Confined children as real processes on the real kernel, and kernels that refuse: their answers are those of
a seccomp filter, as in a container with a strict profile.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deployer.adapters.system import landlock
from deployer.adapters.system.confined_process import Confined, find_confinement
from deployer.adapters.system.limited_process import run
from deployer.core.docker.compose_confinement import Confinement, Means
from deployer.core.errors import CommandFailed
from testing.docker.docker_cli import ROOT

TRIES = """
import ctypes, json, os, signal, socket, sys
outside, inside, port, parent, name = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)

def call(*words):
    if libc.syscall(*words) < 0:
        raise OSError(ctypes.get_errno(), "")

def connect(family, kind, address):
    with socket.socket(family, kind) as one:
        one.connect(address)

tries = {
    "read inside": lambda: open(inside + "/a.txt").read(),
    "list inside": lambda: os.listdir(inside),
    "write to null": lambda: open("/dev/null", "w").write("x"),
    "connect to a socket's path": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, outside + "/sock"),
    "read outside": lambda: open(outside + "/secret").read(),
    "list outside": lambda: os.listdir(outside),
    "read a process": lambda: open(f"/proc/{parent}/environ").read(),
    "read itself": lambda: open("/proc/self/environ").read(),
    "write inside": lambda: open(inside + "/a.txt", "w"),
    "make inside": lambda: open(inside + "/b.txt", "w"),
    "remove inside": lambda: os.unlink(inside + "/a.txt"),
    "link inside": lambda: os.symlink(outside, inside + "/link"),
    "make a folder": lambda: os.mkdir("/tmp/" + name),
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "run a script": lambda: os.execv(inside + "/run.sh", ["run.sh"]),
    "connect by TCP": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(port))),
    "connect by UDP": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 53)),
    "connect by TCP over IPv6": lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", int(port))),
    "make a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "make a ring": lambda: call(425, 8, 0),
    "connect to an abstract socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\\0" + name),
    "kill the parent": lambda: os.kill(int(parent), 0),
    "trace the parent": lambda: call(101, 16, int(parent), 0, 0),
}
found = {}
for word, act in tries.items():
    try:
        act()
        found[word] = "done"
    except OSError as error:
        found[word] = os.strerror(error.errno)
print(json.dumps(found))
"""
ALLOWED = {"read inside", "list inside", "write to null", "connect to a socket's path"}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside):
        folder.mkdir()
    (outside / "secret").write_text("secret")
    (inside / "a.txt").write_text("a")
    (inside / "run.sh").write_text("#!/bin/sh\n")
    (inside / "run.sh").chmod(0o755)
    return outside, inside


@pytest.mark.case("X03")
def test_a_confined_child_reads_its_folder_and_has_nothing_else(places: tuple[Path, Path]) -> None:
    outside, inside = places
    program = os.path.realpath(sys.executable)
    readable = [str(inside), sys.base_prefix, str(Path(program).parent)]
    name = f"deployer-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as by_path,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        by_path.bind(str(outside / "sock"))
        abstract.bind("\0" + name)
        for one in (by_path, abstract):
            one.listen()
        words = [str(outside), str(inside), str(tcp.getsockname()[1]), str(os.getpid()), name]
        argv = [program, "-I", "-c", TRIES, *words]
        child = run(argv, timeout=30, confined=Confined(find_confinement(), "p", program, readable))
        assert {path.name for path in inside.iterdir()} == {"a.txt", "run.sh"}
        free = run(argv, timeout=30)
    found = json.loads(child.stdout)
    assert {word for word, result in found.items() if result == "done"} == ALLOWED, found
    assert set(found.values()) <= {"done", "Permission denied", "Operation not permitted"}, found
    assert free.stdout == "", "an unconfined child can run a program: it became /bin/true"
    assert (outside / "secret").read_text() == "secret", "this process is as it was"
    assert gc.isenabled()


def test_children_that_start_side_by_side_each_have_their_own_folder(tmp_path: Path) -> None:
    said: dict[int, str] = {}

    def start(number: int) -> None:
        folders = [tmp_path / str(number), tmp_path / str((number + 1) % 8)]
        argv = ["/bin/cat", *(str(folder / "a.txt") for folder in folders)]
        confined = Confined(find_confinement(), "p", "/bin/cat", [str(folders[0])])
        try:
            run(argv, timeout=30, confined=confined, hide=lambda text: said.setdefault(number, text))
        except CommandFailed:
            assert "Permission denied" in said[number] and f"/{number}/" not in said[number]

    for number in range(8):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.txt").write_text(str(number))
    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == list(range(8))


def test_a_program_that_is_not_there_and_a_refusal_of_the_kernel_are_expected_failures() -> None:
    with pytest.raises(CommandFailed, match="cannot be started"):
        run(["/no/such"], timeout=5, confined=Confined(Confinement(Means.NONE), "p", "/no/such", []))
    wrong = Confinement(Means.LANDLOCK, abi=1_000)
    original, landlock._NEWEST_FILE_RIGHT = landlock._NEWEST_FILE_RIGHT, 62
    try:
        with pytest.raises(CommandFailed, match="cannot be confined: Landlock") as failed:
            run(["/bin/true"], timeout=5, confined=Confined(wrong, "p", "/bin/true", []))
    finally:
        landlock._NEWEST_FILE_RIGHT = original
    assert "config check" in failed.value.hint


@pytest.mark.parametrize("abi", range(1, landlock.version()[0] + 1))
def test_rights_that_an_older_kernel_does_not_know_are_left_out(abi: int, tmp_path: Path) -> None:
    """This kernel takes what any before it took; what it is asked for is what that one knew."""
    (tmp_path / "a").write_text("a")
    confined = Confined(Confinement(Means.LANDLOCK, abi), "p", "/bin/cat", [])
    with pytest.raises(CommandFailed, match="Permission denied"):
        run(["/bin/cat", str(tmp_path / "a")], timeout=5, environment={"LC_ALL": "C"}, confined=confined)


REFUSING = """
import ctypes, json, os, sys
from pathlib import Path
program = bytes.fromhex(sys.argv[1])
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))
libc = ctypes.CDLL(None, use_errno=True)
assert not libc.prctl(38, 1, 0, 0, 0)
assert not libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0)
from deployer.adapters.docker.compose.compose_process import ComposeProcess
from deployer.adapters.system.confined_process import find_confinement
from deployer.bootstrap import describe_compose
if sys.argv[2] != "0":
    os.setresuid(*[int(sys.argv[2])] * 3)
print(json.dumps([find_confinement().means, describe_compose()]))
"""
EPERM, ENOSYS, EOPNOTSUPP = 1, 38, 95


def landlock_answers(error: int) -> str:
    """A filter under which landlock_create_ruleset(2) fails with `error`."""
    steps = ((0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7FFF0000))
    return b"".join(struct.pack("=HBBI", *step) for step in steps).hex()


@pytest.mark.case("X03")
@pytest.mark.skipif(os.geteuid() != 0, reason="begins as root")
@pytest.mark.parametrize(
    ("error", "user", "means", "words"),
    [
        (
            ENOSYS,
            0,
            "own-user",
            "a user of its own, as the kernel has no Landlock: it has what every user may",
        ),
        (EOPNOTSUPP, 0, "own-user", "as Landlock is switched off in this kernel"),
        (EPERM, 0, "own-user", "as a seccomp profile forbids Landlock"),
        (
            EPERM,
            10001,
            "none",
            "not confined, as a seccomp profile forbids Landlock and the deployer is not root",
        ),
    ],
)
def test_without_landlock_the_means_that_is_left_is_taken_and_told(
    error: int, user: int, means: str, words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSING, landlock_answers(error), str(user)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    assert done.returncode == 0, done.stderr
    found, told = json.loads(done.stdout)
    assert found == means and words in told and told.startswith("docker compose "), told
