"""Hostile branch names, Compose values and test output: for each the exact result, refused or harmless."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from deployer.core.images import is_tag
from deployer.core.tags import tags_of
from tests.ci.conftest import Workflow
from tests.ci.test_decide import INPUTS
from tests.stand.machine import registry

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


COMPOSE: list[tuple[str, str]] = [
    ("web: {build: ., image: 'ghcr.io/acme/../x'}", "is not an image repository"),
    ("web: {build: ., image: '--help'}", "is not an image repository"),
    ("web: {build: ., image: 'ghcr.io/acme/x;id'}", "is not an image repository"),
    ("web: {build: ., image: 'ghcr.io/acme/$$(id)'}", "is not an image repository"),
    ('web: {build: ., image: "ghcr.io/a\\n::set-output name=mode::deploy"}', "is not an image repository"),
    ("'we b': {build: .}", "compose-rejected"),
    ("'--all': {build: .}", "cannot be deployed under this name"),
    (f"{'y' * 64}: {{build: .}}", "cannot be deployed under this name"),
    ("web: {build: {context: ., dockerfile: ../../../../../../etc/passwd}}", "command-failed"),
    ("web: {build: {context: ., dockerfile: none}}", "none"),
    ("web: {build: /nowhere-at-all}", "nowhere-at-all"),
    ("web: {build: {context: ., platforms: [linux/amd64, linux/arm64]}}", "only one can be tested"),
    ("web: {build: {context: ., args: {API_SECRET: x}}}", "API_SECRET has a secret's name"),
    ("web: {build: {context: ., args: {DB: 'postgres://u:p4ss@h/d'}}}", "an address with a password"),
    (
        "a: {build: ., image: x/y}\n  b: {build: {context: ., target: z}, image: x/y}",
        "build different images",
    ),
    ("web: {image: nginx}", "no service has build:"),
    ("web: {build: ., extends: {file: /etc/passwd, service: x}}", "compose-rejected"),
    ("web: [", "compose-rejected"),
]


@pytest.mark.engine
@pytest.mark.parametrize(("services", "words"), COMPOSE)
def test_a_hostile_compose_value_is_one_error_that_names_it(run: Workflow, services: str, words: str) -> None:
    (run.workspace / "compose.yaml").write_text(f"services:\n  {services}\n")
    (run.workspace / "Dockerfile").write_text("FROM scratch\n")
    run.env["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
    step = run.verb("build", registry=registry())
    assert step.code == 1, step.log
    assert words in step.error
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
