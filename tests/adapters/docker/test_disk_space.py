"""Room on the engine's disk, from the host and from a container of that engine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deployer.adapters.docker.disk_space import free_for
from testing.docker.docker_cli import ROOT, docker

OVERLAY = (
    "611 480 0:72 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/AB:/x,"
    "upperdir=/var/lib/docker/overlay2/cd/diff,workdir=/var/lib/docker/overlay2/cd/work\n"
    "612 611 0:75 / /proc rw,nosuid - proc proc rw\n"
)
NEAR = 200_000_000  # others write to the same disk meanwhile


def mounts(folder: Path, text: str) -> Path:
    path = folder / "mountinfo"
    path.write_text(text, encoding="utf-8")
    return path


def room(path: str) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def test_the_engines_folder_is_asked_where_it_is(tmp_path: Path) -> None:
    free = free_for(str(tmp_path), mounts(tmp_path, "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"))
    assert free is not None and abs(free - room(str(tmp_path))) < NEAR


def test_in_a_container_of_the_engine_its_root_tells(tmp_path: Path) -> None:
    free = free_for("/var/lib/docker", mounts(tmp_path, OVERLAY))
    assert free is not None and abs(free - room("/")) < NEAR


@pytest.mark.parametrize("root", ["/nowhere/docker", "/var/lib/dock", "/var/lib/docker/overlay2/cd/diff/x"])
def test_nobody_can_say_for_another_engines_folder(tmp_path: Path, root: str) -> None:
    assert free_for(root, mounts(tmp_path, OVERLAY)) is None
    assert free_for("/nowhere/docker", tmp_path / "none") is None


@pytest.mark.engine
def test_a_real_container_sees_the_same_room_as_its_host() -> None:
    root = docker("info", "--format", "{{.DockerRootDir}}").strip()
    code = f"import runpy; print(runpy.run_path('/disk.py')['free_for']({root!r}))"
    source = f"{ROOT}/deployer/adapters/docker/disk_space.py:/disk.py:ro"
    python = ("--entrypoint", "python3", "--network", "none", "--user", "10001", "--read-only")
    told = json.loads(docker("run", "--rm", *python, "-v", source, "python:3.13-slim", "-c", code))
    assert abs(told - room(root)) < NEAR
