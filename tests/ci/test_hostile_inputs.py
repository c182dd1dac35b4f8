"""Hostile branch names, Compose values and test output: for each the exact result, refused or harmless."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from deployer.core.build.image_tags import tags_of
from deployer.core.images import is_tag
from testing.docker.docker_cli import registry
from tests.ci.conftest import Workflow
from tests.ci.steps.test_decide import INPUTS

NAMES: list[tuple[str, str, str]] = [
    ("refs/heads/main\n", "test", r"main-[0-9a-f]{12}"),
    ("refs/heads/x\nmode=deploy", "test", r"x-mode-deploy-[0-9a-f]{12}"),
    ("refs/heads/$(touch pwned)", "test", r"touch-pwned-[0-9a-f]{12}"),
    ("refs/heads/`id`;id|id&&id", "test", r"id-id-id-id-[0-9a-f]{12}"),
    ("refs/heads/${{github.token}}", "test", r"github.token-[0-9a-f]{12}"),
    ("refs/heads/::set-output name=mode::deploy", "test", r"set-output-name-mode-deploy-[0-9a-f]{12}"),
    ("refs/heads/##[add-mask]x", "test", r"add-mask-x-[0-9a-f]{12}"),
    ("refs/heads/--load", "test", r"load-[0-9a-f]{12}"),
    ("refs/heads/../../main", "test", r"main-[0-9a-f]{12}"),
    ("refs/heads/\u202emain", "test", r"main-[0-9a-f]{12}"),
    ("refs/heads/m\u0430in", "test", r"m-in-[0-9a-f]{12}"),
    ("refs/heads/" + "a" * 300, "test", r"a{115}-[0-9a-f]{12}"),
    ("refs/heads/latest", "test", r"latest-[0-9a-f]{12}"),
    ("refs/heads/sha-" + "0" * 40, "test", r"sha-0{40}-[0-9a-f]{12}"),
    ("refs/heads/tree-" + "0" * 64, "test", r"tree-0{64}-[0-9a-f]{12}"),
    ("refs/tags/v1.2.3\n", "build", r"v1.2.3-[0-9a-f]{12}"),
    ("refs/tags/v1.2.3;id", "build", r"v1.2.3-id-[0-9a-f]{12}"),
    ("refs/heads/", "test", r"ref-[0-9a-f]{12}"),
    ("refs/pull/7/merge", "skip", r""),
]


@pytest.mark.parametrize(("ref", "mode", "tag"), NAMES)
def test_a_hostile_ref_is_text_everywhere(run: Workflow, ref: str, mode: str, tag: str) -> None:
    run.env["GITHUB_REF"] = ref
    step = run.verb("decide", **INPUTS)
    assert (step.code, step.outputs["mode"], step.outputs["environment"]) == (0, mode, "")
    assert set(step.outputs) == {"mode", "reason", "environment"}
    assert step.console.outputs == {} and step.console.masks == []
    assert {path.name for path in run.workspace.iterdir()} == {"compose.yaml", "app.env"}
    found = tags_of(ref, "main")
    assert all(re.fullmatch(tag, one) and is_tag(one) for one in found)
    assert len(found) == (1 if tag else 0)


_COMPOSE = "docker compose ended with exit code 15: "
_BAKE = "docker buildx bake ended with exit code 1: ERROR: "
_PUBLIC = ": any user who pulls the image could read it [secret-in-build]"
# The Compose file's services, and the error's first line.
COMPOSE: list[tuple[str, str]] = [
    (
        "web: {build: ., image: 'ghcr.io/acme/../x'}",
        "service web: 'ghcr.io/acme/../x' is not an image repository [payload-rejected]",
    ),
    (
        "web: {build: ., image: '--help'}",
        "service web: '--help' is not an image repository [payload-rejected]",
    ),
    (
        "web: {build: ., image: 'ghcr.io/acme/x;id'}",
        "service web: 'ghcr.io/acme/x;id' is not an image repository [payload-rejected]",
    ),
    (
        "web: {build: ., image: 'ghcr.io/acme/$$(id)'}",
        "service web: 'ghcr.io/acme/$$(id)' is not an image repository [payload-rejected]",
    ),
    (
        'web: {build: ., image: "ghcr.io/a\\n::set-output name=mode::deploy"}',
        "service web: 'ghcr.io/a\\n' is not an image repository [payload-rejected]",
    ),
    (
        "'we b': {build: .}",
        f"{_COMPOSE}validating HERE/compose.yaml: services Additional property we b is not allowed"
        " [compose-rejected]",
    ),
    ("'--all': {build: .}", "'--all' cannot be deployed under this name [compose-rejected]"),
    (f"{'y' * 64}: {{build: .}}", f"'{'y' * 64}' cannot be deployed under this name [compose-rejected]"),
    (
        "web: {build: {context: ., dockerfile: ../outside}}",
        f"{_BAKE}failed to solve: dockerfile parse error on line 1: unknown instruction: PLUGH"
        " [command-failed]",
    ),
    (
        "web: {build: {context: ., dockerfile: none}}",
        f"{_BAKE}failed to solve: failed to read dockerfile: open none: no such file or directory"
        " [command-failed]",
    ),
    (
        "web: {build: /nowhere-at-all}",
        f'{_BAKE}unable to prepare context: path "/nowhere-at-all" not found [command-failed]',
    ),
    (
        "web: {build: {context: ., platforms: [linux/amd64, linux/arm64]}}",
        "web is built for 2 platforms, and only one can be tested here [compose-rejected]",
    ),
    (
        "web: {build: {context: ., args: {API_SECRET: x}}}",
        f"service web: API_SECRET has a secret's name{_PUBLIC}",
    ),
    (
        "web: {build: {context: ., args: {DB: 'postgres://u:p4ss@h/d'}}}",
        f"service web: DB holds an address with a password{_PUBLIC}",
    ),
    (
        "a: {build: ., image: x/y}\n  b: {build: {context: ., target: z}, image: x/y}",
        "services a and b build different images named x/y [compose-rejected]",
    ),
    ("web: {image: nginx}", "no service has build: [compose-rejected]"),
    (
        "web: {build: ., extends: {file: /etc/hostname, service: x}}",
        f"{_COMPOSE}Top-level object must be a mapping [compose-rejected]",
    ),
    ("web: [", f"{_COMPOSE}yaml: line 2: did not find expected node content [compose-rejected]"),
]


@pytest.mark.engine
@pytest.mark.parametrize(("services", "words"), COMPOSE, ids=range(len(COMPOSE)))
def test_a_hostile_compose_value_is_one_error_that_names_it(run: Workflow, services: str, words: str) -> None:
    (run.workspace / "compose.yaml").write_text(f"services:\n  {services}\n")
    (run.workspace / "Dockerfile").write_text("FROM scratch\n")
    (run.workspace.parent / "outside").write_text("PLUGH 1\n")
    run.env["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
    step = run.verb("build", registry=registry())
    assert step.code == 1, step.log
    told = step.error.replace(str(run.workspace), "HERE")
    assert told.partition("\n")[0] == words
    assert "p4ss" not in step.raw + step.errors
    assert "Traceback" not in step.raw + step.errors
    assert step.console.outputs == {} and step.outputs == {}


@pytest.mark.engine
def test_a_secret_is_refused_until_it_is_named_as_public(run: Workflow) -> None:
    (run.workspace / "compose.yaml").write_text("services:\n  web: {build: .}\n")
    (run.workspace / "Dockerfile").write_text(
        "FROM scratch\nARG MAPS_SECRET\nARG TITLE\nLABEL t=$TITLE m=$MAPS_SECRET\n"
    )
    (run.workspace / ".env.production").write_text("TITLE='A shop'\nMAPS_SECRET=public-after-all\nUNUSED=1\n")
    run.env["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
    refused = run.verb("build", registry=registry())
    assert (refused.code, "secret-in-build" in refused.error) == (1, True)
    assert ".env.production: MAPS_SECRET has a secret's name" in refused.error
    assert "public-after-all" not in refused.raw
    wrong = run.verb("build", registry=registry(), allow_build_args="MAPS SECRET=1")
    assert "'SECRET=1' is not a variable's name" in wrong.error
    # Both become arguments by being declared, though the Compose file names none.
    taken = run.verb("build", registry=registry(), allow_build_args="MAPS_SECRET")
    assert taken.code == 0, taken.log
    model = (run.state / "model.json").read_text()
    assert '"MAPS_SECRET": "public-after-all"' in model and '"TITLE": "A shop"' in model
    assert "UNUSED" not in model
    other = Path(run.workspace / "other.env")
    other.write_text("TITLE=Other\n")
    assert run.verb("build", registry=registry(), build_env_file="other.env").code == 0
    assert '"TITLE": "Other"' in (run.state / "model.json").read_text()
    assert (
        "not a file of the repository"
        in run.verb("build", registry=registry(), build_env_file="/etc/passwd").error
    )
