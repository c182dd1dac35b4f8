"""The action against the commands it is made of, in turn in one run, on three services of one Compose file.

In: how many runs. Out: rows. Every build has content that no cache has seen. Each image waits three
seconds (what packages take to arrive) and makes a layer of 2 MB that does not compress. `overhead_ratio`:
the whole action in the mode `build` over `bake --load`, the same test, `bake --push`. `per_image_ratio`:
its build and push over one `buildx build --push` after the other, as a workflow with a build step for
every image has it. `known_tree_s`: from the action's start to the request that the server receives, for a
commit whose files were tested and deployed before.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.rows import Row
from testing.docker.docker_cli import ROOT, docker, registry, remove_images
from testing.github.action_runner import RunResult, run_action
from testing.receiver.scripted_receiver import DeployApi
from tests.ci.conftest import commit_all, git

# `python3` as a runner has it: the program, not a version manager's script in front of it.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
SERVICES = ("web", "api", "worker")
DOCKERFILE = """FROM nginx:alpine
RUN sleep 3 && head -c 2000000 /dev/urandom >/usr/share/layer
COPY . /usr/share/nginx/html
"""
SERVICE = """  {name}:
    image: {place}/{name}:${{TAG:-latest}}
    build: {name}
    stop_grace_period: 0s
    healthcheck: {{test: ["CMD", "true"], interval: 1s, start_period: 5s, start_interval: 100ms}}
"""


@dataclass
class Times:
    """Measured seconds, run by run."""

    ours: list[float] = field(default_factory=list)
    build_and_push: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    one_by_one: list[float] = field(default_factory=list)
    known: list[float] = field(default_factory=list)
    decide: list[float] = field(default_factory=list)


class App:
    """The repository, and the three ways to build, test and push its images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.name = f"bench-{secrets.token_hex(4)}"
        self.place = f"{registry()}/{self.name}"
        self.runs = 0
        for name in SERVICES:
            (self.work / name).mkdir(parents=True)
        parts = [SERVICE.format(name=name, place=self.place) for name in SERVICES]
        (self.work / "compose.yaml").write_text("services:\n" + "".join(parts))
        self.change()

    def change(self) -> None:
        """Writes new content everywhere, in the first step of every build."""
        for name in SERVICES:
            mark = secrets.token_hex(8)
            (self.work / name / "Dockerfile").write_text(
                DOCKERFILE.replace("sleep 3", f"sleep 3 && : {mark}")
            )
        commit_all(self.work)

    def act(self, ref: str, env: dict[str, str], **inputs: str) -> RunResult:
        self.runs += 1
        result = run_action(
            ROOT,
            self.work,
            "push",
            {"repository": {"full_name": f"{self.name}/shop", "default_branch": "main"}},
            ref,
            git(self.work, "rev-parse", "HEAD"),
            {"registry": registry(), **inputs},
            {"HOME": str(self.folder), "DOCKER_HOST": os.environ["DOCKER_HOST"], "PATH": PATH, **env},
            self.folder / f"temp-{self.runs}",
        )
        assert result.outcome == "success", result.log
        return result

    def bare(self) -> None:
        """Runs the commands alone, without decision, check or proof."""
        extra = {"TAG": secrets.token_hex(8), "COMPOSE_PROJECT_NAME": f"{self.name}-bare"}
        docker("buildx", "bake", "-f", "compose.yaml", "--load", cwd=self.work, extra=extra)
        docker("compose", "up", "-d", "--no-build", "--wait", cwd=self.work, extra=extra)
        docker("compose", "down", "-v", "-t", "0", cwd=self.work, extra=extra)
        docker("buildx", "bake", "-f", "compose.yaml", "--push", cwd=self.work, extra=extra)

    def one_by_one(self) -> None:
        tag = secrets.token_hex(8)
        for name in SERVICES:
            docker("buildx", "build", "--push", "-t", f"{self.place}/{name}:{tag}", name, cwd=self.work)

    def remove(self) -> None:
        remove_images(f"{self.place}/*")


def measure(runs: int) -> Sequence[Row]:
    """Measures the three ways in turn, `runs` times each."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, DeployApi() as api:
        app, times = App(Path(folder)), Times()
        try:
            app.act("refs/heads/develop", {})  # warms the base image and every program for all
            for run in range(runs):
                _measure_once(app, api, times, run)
                _say(run, times)
        finally:
            app.remove()
    return _rows(times)


def _measure_once(app: App, api: DeployApi, times: Times, run: int) -> None:
    """Measures every way once; each run begins with another one."""
    turns = (
        lambda: times.bare.append(_seconds(app.bare)),
        lambda: _ours(app, api, times),
        lambda: times.one_by_one.append(_seconds(app.one_by_one)),
    )
    for number in range(len(turns)):
        app.change()
        turns[(run + number) % len(turns)]()
    times.decide.append(_decide(app))


def _ours(app: App, api: DeployApi, times: Times) -> None:
    results: list[RunResult] = []
    times.ours.append(_seconds(lambda: results.append(app.act("refs/heads/develop", {}))))
    steps = results[0].steps
    times.build_and_push.append(steps["build"].seconds + steps["push"].seconds)
    times.known.append(_known(app, api))


def _known(app: App, api: DeployApi) -> float:
    """Commits the files of a deployed commit again, as a revert or a change of the documentation does."""
    app.act("refs/heads/main", api.environment(), server=api.url)
    git(app.work, "commit", "-q", "--allow-empty", "-m", "docs")
    begun = time.monotonic()
    app.act("refs/heads/main", api.environment(), server=api.url)
    return api.of("POST", "/deployments")[-1].at - begun


def _decide(app: App) -> float:
    """Runs the verb alone, like its step."""
    event = app.folder / "event.json"
    event.write_text("{}")
    inputs = {
        "PRODUCTION_BRANCH": "main",
        "DEVELOP_BRANCH": "develop",
        "ENVIRONMENT": "production",
        "REGISTRY": "ghcr.io",
    }
    env = {
        **{f"DEPLOYER_INPUT_{name}": value for name, value in inputs.items()},
        "PATH": os.environ["PATH"],
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REF": "refs/heads/develop",
        "GITHUB_SHA": "a" * 40,
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_NUMBER": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_WORKSPACE": str(app.work),
        "RUNNER_TEMP": str(app.folder),
    }
    argv = [sys.executable, "-I", str(ROOT / "deployer" / "ci"), "decide"]
    return _seconds(lambda: subprocess.run(argv, env=env, check=True, capture_output=True))


def _seconds(do: Callable[[], object]) -> float:
    begun = time.monotonic()
    do()
    return time.monotonic() - begun


def _rows(times: Times) -> list[Row]:
    overhead = _ratios(times.ours, times.bare)
    per_image = _ratios(times.build_and_push, times.one_by_one)
    known = tuple(round(value, 2) for value in times.known)
    decide = tuple(round(value * 1000) for value in times.decide)
    bare, single = statistics.median(times.bare), statistics.median(times.one_by_one)
    return [
        Row("overhead_ratio", statistics.median(overhead), "", "<= 1.15", overhead,
            f"bake --load, compose up --wait, bake --push: {bare:.1f} s"),
        Row("per_image_ratio", statistics.median(per_image), "", "<= 0.5", per_image,
            f"one buildx build --push after the other: {single:.1f} s"),
        Row("known_tree_s", statistics.median(known), "s", "<= 2", known, ""),
        Row("decide_ms", statistics.median(decide), "ms", "<= 150", decide, ""),
    ]  # fmt: skip


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(mine / other, 3) for mine, other in zip(ours, theirs, strict=True))


def _say(run: int, times: Times) -> None:
    print(
        f"run {run + 1}: ours {times.ours[-1]:.1f} s, bare {times.bare[-1]:.1f} s, one by one"
        f" {times.one_by_one[-1]:.1f} s against {times.build_and_push[-1]:.1f} s,"
        f" known {times.known[-1]:.2f} s, decide {times.decide[-1] * 1000:.0f} ms",
        file=sys.stderr,
        flush=True,
    )
