"""This machine's engine command line, registry and ports, and waiting with a deadline, for stages and tests.
In: names. Out: the resource, or a failed test.
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
_HELD: deque[socket.socket] = deque(maxlen=64)  # the ports of the last twenty stages


def registry() -> str:
    """Returns the loopback registry of `script/engine up`. A missing registry is a failure, not a reason to
    skip.
    """
    host = os.environ.get("DEPLOYER_TEST_REGISTRY", "")
    if not host:
        raise RuntimeError('no engine: run script/engine up, then eval "$(script/engine env)"')
    return host


def free_port() -> int:
    """Returns a port on which a server of this machine may listen, at any address. The kernel keeps it from
    parallel tests and from connections, also between two owners.
    """
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    # From now on servers may listen beside it, as they set the same option.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _HELD.append(held)
    return int(held.getsockname()[1])


def wait_for(what: str, condition: Callable[[], Any], deadline: float = 60.0) -> Any:
    """Returns the condition's first true value. Raises AssertionError at the deadline."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {deadline:.0f} s")


def docker(*arguments: str, cwd: Path | None = None, extra: Mapping[str, str] | None = None) -> str:
    """Runs the real engine's command line; a failure fails the test."""
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
    """Returns the service of an inspected container, also for the edge."""
    labels = container["Config"]["Labels"]
    return str(labels.get("deployer.service") or labels["com.docker.compose.service"])


def remove_containers(project: str) -> None:
    """Removes every container, network and volume of one project."""
    label = f"label=com.docker.compose.project={project}"
    if names := docker("ps", "-aq", "--filter", label).split():
        docker("rm", "-fv", *names)
    for network in docker("network", "ls", "-q", "--filter", label).split():
        docker("network", "rm", network)
    if volumes := docker("volume", "ls", "-q", "--filter", label).split():
        docker("volume", "rm", "--force", *volumes)


def remove_images(pattern: str) -> None:
    """Removes every name of the images that fit, and no other name of the same image, which may be a shared
    base.
    """
    form = "{{.Repository}} {{.Tag}} {{.Digest}}"
    lines = docker("images", "--digests", "--filter", f"reference={pattern}", "--format", form).splitlines()
    entries = [line.split() for line in lines]
    names = {f"{place}:{tag}" for place, tag, _ in entries if tag != "<none>"}
    names |= {f"{place}@{digest}" for place, _, digest in entries if digest != "<none>"}
    for name in sorted(names, key=lambda one: "@" in one):
        with suppress(AssertionError):  # gone with its last tag
            docker("image", "rm", name)
