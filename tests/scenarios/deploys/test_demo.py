"""The demo, as a newcomer runs it: it must end well and say what happened."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from testing.stage import ROOT, docker

pytestmark = [pytest.mark.engine, pytest.mark.alone]


def test_the_demo_tells_the_whole_story_and_leaves_nothing() -> None:
    done = subprocess.run(
        [ROOT / "script" / "demo"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    story = done.stdout
    assert [line[0] for line in re.findall(r"^[1-9]\. .*", story, re.MULTILINE)] == list("12345678")
    assert re.findall(r"(\d+) lost", story) == ["0", "0", "0"]
    assert "what runs is what was tested" in story
    told = " ".join(story.split())  # reasons are wrapped
    assert "PAYMENT_URL is not set" in told and "[gate-failed]" in told
    assert re.search(r"planted secrets, 0 hits in \d{3,} ", story)
    assert "All of it held" in story
    assert not orphans()


def orphans() -> list[str]:
    """Containers of stages that are over: the folder of their model is gone."""
    label = "com.docker.compose.project.config_files"
    listed = docker("ps", "-a", "--format", f'{{{{.Names}}}} {{{{.Label "{label}"}}}}').splitlines()
    pairs = (line.partition(" ")[::2] for line in listed)
    return [name for name, model in pairs if model.startswith("/tmp/dpl-") and not Path(model).exists()]
