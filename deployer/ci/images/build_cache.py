"""Build cache in the registry: images that its tags mark as tested. In: trees, the model. Out: manifests, and
True if all images were tested together.

Two tags mark a tested image, both written only after a test: `tree-<hash>` names the image built from exactly
these files, `tested-<hash>` says that exactly these images ran together as this Compose file has them, and
passed this test. Every job with permission to write packages can write these tags, so only a run that deploys
nothing relies on them; `steps/reusable_images.py` is for deploying runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deployer.ci.git import tracked_files
from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import Context, input_text
from deployer.ci.images.build_hashes import hash_path
from deployer.ci.images.manifests import Manifest, find_manifest
from deployer.ci.images.registry_login import Login, authorization
from deployer.ci.images.test_stack import isolate
from deployer.core.build.build_args import why_secret
from deployer.core.build.build_hash import TESTED, TREE, hash_value
from deployer.core.errors import RegistryUnavailable
from deployer.core.images import split_host
from deployer.io.http_client import ServerUnavailable

_THREADS = 8


def find_known(trees: Mapping[str, str], login: Login | None) -> dict[str, Manifest]:
    """Returns repository → tested image, for the repositories with a tested image of their tree."""
    asked = {repository: f"{TREE}{tree}" for repository, tree in trees.items() if tree}
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda repository: _find(repository, asked[repository], login), asked)
        return {repository: manifest for repository, manifest in zip(asked, found, strict=True) if manifest}


def was_tested(repository: str, combination: str, login: Login | None) -> bool:
    """True if a run has tested this combination and stored the fact beside the first service's image."""
    return bool(combination) and _find(repository, f"{TESTED}{combination}", login) is not None


def together(combination: str, images: Mapping[str, Manifest]) -> str:
    """Returns the hash of a combination of exactly these images, by repository; empty if there is no
    combination.

    Two concurrent runs of the same files build different images, and their `tree-` tags may end up mixed.
    """
    digests = {repository: manifest.digest for repository, manifest in images.items()}
    return hash_value({"combination": combination, "images": digests}) if combination else ""


def _find(repository: str, tag: str, login: Login | None) -> Manifest | None:
    """Returns the manifest of a tag. Treats a registry that does not answer as one without the tag; the push
    will report the registry's error.
    """
    host, _ = split_host(repository)
    try:
        return find_manifest(repository, tag, authorization(host, login), tries=1)
    except (RegistryUnavailable, ServerUnavailable) as error:
        workflow_commands.say(f"{repository}: {error}; it is built")
        return None


def combine(context: Context, model: Mapping[str, Any], trees: Mapping[str, str]) -> str:
    """Returns the hash of everything that the test depends on; empty if an image's tree cannot be
    determined.
    """
    if not all(trees.values()):
        return ""
    workspace = os.path.realpath(context.workspace)
    stack = isolate(model, trees, project="test", workspace=workspace)
    command = [input_text("test-command"), input_text("test-service")]
    parts = {
        "stack": _without_place(_without_secrets(stack), workspace),
        "mounted": {path: hash_path(Path(path)) for path in _mounted(stack, workspace)},
        "command": command,
        "files": _tracked(context.workspace) if command[0] else {},
    }
    return hash_value(_without_place(parts, workspace))


def _tracked(workspace: Path) -> dict[str, str]:
    """Returns path → hash of all tracked files, because a command may read every file of the checkout."""
    return {path: hash_path(workspace / path) for path in sorted(tracked_files.listed_files(workspace))}


def _mounted(stack: Mapping[str, Any], workspace: str) -> list[str]:
    """Returns the files and folders of the checkout that the containers mount."""
    mounts = [volume for service in stack["services"].values() for volume in service.get("volumes") or ()]
    places = [str(volume.get("source", "")) for volume in mounts if volume.get("type") == "bind"]
    places += [str(config.get("file", "")) for config in (stack.get("configs") or {}).values()]
    return sorted({place for place in places if Path(place).is_relative_to(workspace)})


def _without_secrets(stack: Mapping[str, Any]) -> dict[str, Any]:
    """Removes values that look like secrets: a tag is public, so not even its hash may depend on them."""
    services = {
        name: {**service, "environment": _harmless(service.get("environment") or {})}
        for name, service in stack["services"].items()
    }
    return {**stack, "services": services, "secrets": sorted(stack.get("secrets") or ())}


def _harmless(environment: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if why_secret(name, str(value)) else str(value) for name, value in environment.items()}


def _without_place(value: Any, workspace: str) -> Any:
    """Replaces the workspace's path, so that the values do not depend on the checkout's location."""
    if isinstance(value, str):
        return value.replace(workspace, ".")
    if isinstance(value, Mapping):
        return {_without_place(key, workspace): _without_place(one, workspace) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_place(one, workspace) for one in value]
    return value
