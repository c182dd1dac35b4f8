"""What stages and tests need of this machine: the engine's command line, its registry, ports, patience.
In: names. Out: what there is, or a failed test.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
_HELD: deque[socket.socket] = deque(maxlen=64)  # those of the last twenty stages


def registry() -> str:
    """The loopback registry of `script/engine up`; its absence is a failure, not a reason to skip."""
    host = os.environ.get("DEPLOYER_TEST_REGISTRY", "")
    if not host:
        raise RuntimeError('no engine: run script/engine up, then eval "$(script/engine env)"')
    return host


def free_port() -> int:
    """A port that a server of this machine may listen on, at any address. The kernel gives it to nobody else
    meanwhile, neither to tests that run beside this one nor to a connection, also while it changes hands.
    """
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    # From now on servers may listen beside it, as they set the same option.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _HELD.append(held)
    return int(held.getsockname()[1])


def wait_for(what: str, condition: Callable[[], Any], deadline: float = 60.0) -> Any:
    """The condition's first true value; AssertionError when it does not come in time."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {deadline:.0f} s")


def docker(*arguments: str, cwd: Path | None = None, extra: Mapping[str, str] | None = None) -> str:
    """The command line of the real engine; a failure is the test's."""
    environment = dict(os.environ) | dict(extra or {})
    done = subprocess.run(
        ["docker", *arguments],
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout


def service_of(container: Mapping[str, Any]) -> str:
    """The service of an inspected container, the edge among them."""
    labels = container["Config"]["Labels"]
    return str(labels.get("deployer.service") or labels["com.docker.compose.service"])


def remove_containers(project: str) -> None:
    """Every container, network and volume of one project, and nothing else."""
    label = f"label=com.docker.compose.project={project}"
    if names := docker("ps", "-aq", "--filter", label).split():
        docker("rm", "-fv", *names)
    for network in docker("network", "ls", "-q", "--filter", label).split():
        docker("network", "rm", network)
    if volumes := docker("volume", "ls", "-q", "--filter", label).split():
        docker("volume", "rm", "--force", *volumes)


def remove_images(pattern: str) -> None:
    """Every name of the images that fit, and no other name of the same image: it may be everybody's base."""
    form = "{{.Repository}} {{.Tag}} {{.Digest}}"
    lines = docker("images", "--digests", "--filter", f"reference={pattern}", "--format", form).splitlines()
    entries = [line.split() for line in lines]
    names = {f"{place}:{tag}" for place, tag, _ in entries if tag != "<none>"}
    names |= {f"{place}@{digest}" for place, _, digest in entries if digest != "<none>"}
    for name in sorted(names, key=lambda one: "@" in one):
        with suppress(AssertionError):  # gone with its last tag
            docker("image", "rm", name)
