"""The deployer with a shell script in the place of Compose. In: a module and its arguments. Out: the module,
run as a program.

A confined Compose starts no program and writes no file, so a script in its place could do nothing. Only tests
of the server's own life run without confinement.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

UNCONFINED = __file__


def install_compose(folder: Path, script: str) -> None:
    """Installs the script for a process whose DOCKER_CONFIG is `folder`, with an answer to the question for
    its version.
    """
    plugin = folder / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir(exist_ok=True)
    plugin.write_text(f'#!/bin/sh\ncase "$*" in *version*) echo 0; exit 0;; esac\n{script}', encoding="utf-8")
    plugin.chmod(0o755)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
    from deployer.adapters.system import confined_process
    from deployer.core.docker.compose_confinement import Confinement, Means

    confined_process.find_confinement = lambda: Confinement(Means.NONE, why="a test")  # type: ignore[assignment]
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
