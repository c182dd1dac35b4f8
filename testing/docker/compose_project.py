"""An arbitrary Compose project, deployed through the real receiver without the action. In: a stage and the
project's files. Out: images that are built and pushed, a finished deployment.

The given files replace the stage's whole repository, so that a test shows all of its input: first deploy,
change, bad release and rollback are four calls. `{port}` in the Compose file is the stage's free port.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Any

from deployer.core.compose.bundle import collect_bundle
from deployer.core.images import Image
from deployer.core.model import Bundle
from testing.docker.docker_cli import docker
from testing.stage import Stage
from testing.user_repository import Published, push

ENTRY = "compose.yaml"


def deploy_project(
    stage: Stage, files: Mapping[str, str], *, images: Mapping[str, Image] | None = None, **changes: Any
) -> dict[str, Any]:
    """Returns the finished deployment of these repository files (path → text). `images`: service → an image
    by digest, for services without `build`; `changes`: fields of the deploy request.
    """
    published, bundle = publish_project(stage, files)
    given = {**published.images, **(images or {})}
    status, answer = stage.request(published, **{"images": given, "bundle": bundle, **changes})
    assert status == 202, answer
    return stage.finished(answer["id"], answer["read_token"])


def deployed_project(stage: Stage, files: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Deploys like `deploy_project` a release that must serve at the end."""
    ended = deploy_project(stage, files, **more)
    assert ended["status"] == "success", ended["reason"]
    return ended


def publish_project(stage: Stage, files: Mapping[str, str]) -> tuple[Published, Bundle]:
    """Commits exactly these files, builds and pushes their images, and returns the bundle that the action
    would send.
    """
    texts = {path: text.replace("{port}", str(stage.api_port)) for path, text in files.items()}
    revision = _commit(stage, texts)
    tags = {name: tag or f"{stage.namespace}/shop-{name}:sha-{revision}" for name, tag in _built(stage)}
    if tags:
        sets = [f"--set={name}.tags={tag}" for name, tag in tags.items()]
        sent = {"REGISTRY": stage.namespace}
        docker("buildx", "bake", "-f", ENTRY, "--load", *sets, *tags, cwd=stage.source.folder, extra=sent)
    bundle = collect_bundle(ENTRY, texts, texts.get)
    return Published(revision, {name: push(tag) for name, tag in tags.items()}), bundle


def _commit(stage: Stage, texts: Mapping[str, str]) -> str:
    for path in stage.source.folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in texts.items():
        (stage.source.folder / name).parent.mkdir(parents=True, exist_ok=True)
        stage.source.write(name, text)
    return stage.source.commit("Change the project")


def _built(stage: Stage) -> list[tuple[str, str]]:
    """Returns each service with `build`, and the image that the file names for it, empty without one."""
    variables = stage.folder / "shop.env"
    words = ("compose", "--env-file", str(variables), "-f", ENTRY, "config", "--format", "json")
    services = json.loads(docker(*words, cwd=stage.source.folder))["services"]
    return [(name, table.get("image", "")) for name, table in services.items() if "build" in table]
