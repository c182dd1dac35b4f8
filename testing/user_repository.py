"""The user's repository: a real git work tree of the example application. In: changes. Out: commits, and
releases that are built and pushed without the action.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployer.core.images import Image, parse_image, split_tag
from testing.docker.docker_cli import ROOT, docker

SERVICES = ("backend", "frontend")


@dataclass(frozen=True)
class Published:
    """A release in the registry: its revision, and every service's image by digest."""

    revision: str
    images: Mapping[str, Image]


class Source:
    """A git work tree of the example application."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(
            ROOT / "examples" / "shop", folder, ignore=shutil.ignore_patterns("node_modules", "dist")
        )
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("Start the shop")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text, encoding="utf-8")

    def release(self, version: str) -> str:
        """Commits a change of the version that both services show."""
        self.write("backend/version.txt", f"{version}\n")
        self.write("frontend/version.txt", f"{version}\n")
        return self.commit(f"Release {version}")

    def publish(self, version: str, namespace: str) -> Published:
        """Builds and pushes a release of the work tree; returns its digests."""
        sha = self.release(version)
        tags = [f"{namespace}/shop-{service}:sha-{sha}" for service in SERVICES]
        sets = [f"--set={service}.tags={tag}" for service, tag in zip(SERVICES, tags, strict=True)]
        docker("buildx", "bake", "-f", str(self.folder / "compose.yaml"), "--load", *sets, cwd=self.folder)
        return Published(sha, {service: push(tag) for service, tag in zip(SERVICES, tags, strict=True)})


def forget(image: Image) -> None:
    """Deletes an image from the registry."""
    host, _, path = image.repository.partition("/")
    url = f"http://{host}/v2/{path}/manifests/{image.digest}"
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10) as answer:
        assert answer.status == 202


def forget_here(image: Image) -> None:
    """Removes an unused image from the engine; the registry keeps it."""
    for line in docker("images", "--quiet", "--no-trunc", image.repository, "--digests").splitlines():
        details = json.loads(docker("image", "inspect", line))[0]
        if str(image) in details["RepoDigests"]:
            docker("image", "rm", "--force", line)
            return


def push(tag: str) -> Image:
    docker("push", "--quiet", tag)
    repository = split_tag(tag)[0]
    digests: list[str] = json.loads(docker("inspect", "--format", "{{json .RepoDigests}}", tag))
    return next(image for image in map(parse_image, digests) if image.repository == repository)
