"""What a `deployment` or a package event may start: every condition on its own, from a case in which all
hold.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.core.config.settings import Config, load_config
from deployer.core.errors import Forbidden, PayloadRejected
from deployer.core.images import Image
from deployer.core.model import DeployJob, Kind, Run, Trigger
from deployer.core.webhooks.triggers import Deploy, Ignore, ImageAnnouncement
from testing.receiver import receiver_inputs
from testing.receiver.receiver_inputs import (
    DIGEST,
    REVISION,
    announcement,
    config_of,
    config_table,
    package_event,
    two_apps,
)

WORKFLOW = ".github/workflows/deploy.yml"


def decision(
    payload: dict[str, Any], config: Config | None = None, event: str = "deployment"
) -> Deploy | Ignore | ImageAnnouncement:
    return receiver_inputs.decision(payload, config, event)


def reason(payload: dict[str, Any], config: Config | None = None, event: str = "deployment") -> str:
    return receiver_inputs.reason(payload, config, event)


def job(**changes: Any) -> DeployJob:
    answer = decision(announcement(**changes))
    assert isinstance(answer, Deploy)
    return answer.job


# --- deployment


def test_a_deployment_of_ours_is_a_wish_for_its_images_and_is_told_of_its_statuses() -> None:
    assert job() == DeployJob(
        app="shop",
        environment="production",
        kind=Kind.DEPLOY,
        trigger=Trigger.WEBHOOK,
        actor="Codertocat",
        revision=REVISION,
        run=Run(12, 1),
        images={"web": Image("ghcr.io/acme/shop-web", DIGEST)},
        workflow=WORKFLOW,
        github=145988746,
    )


def test_one_that_no_run_made_starts_nothing_whatever_branch_it_names() -> None:
    """Ref and commit are its maker's own words, who may be any job with `deployments: write`."""
    assert "not made by a workflow run" in reason(announcement(run=None), config_of())


def test_githubs_text_of_a_payload_is_read_like_the_payload() -> None:
    release = announcement()["deployment"]["payload"]
    assert job(payload=json.dumps(release)) == job()


def test_the_environment_is_named_in_any_case() -> None:
    assert job(environment="Production").environment == "production"


@pytest.mark.case("A17", "A20", "A22")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"task": "deploy"}, "the task 'deploy'"),
        ({"task": "deploy-images\n"}, "the task"),
        ({"payload": None}, "not a release"),
        ({"payload": {}}, "not a release"),
        ({"payload": ""}, "not a release"),
        ({"payload": "{"}, "not a release"),
        ({"payload": "[1]"}, "not a release"),
        ({"payload": []}, "not a release"),
        ({"payload": {"schema": 2, "images": {}}}, "not a release"),
        ({"payload": {"schema": 1}}, "not a release"),
        ({"payload": {"schema": 1, "images": {}, "app": "bank"}}, "no app"),
        ({"repository_id": 4712}, "no app"),
        ({"environment": "staging"}, "no environment 'staging'"),
        ({"ref": "develop"}, "'develop'"),
        ({"ref": "refs/heads/main"}, "'refs/heads/main'"),
        ({"ref": REVISION}, REVISION),
        ({"run": {"event": "pull_request"}}, "pull_request"),
        ({"run": {"event": "pull_request_target"}}, "pull_request_target"),
        ({"run": {"head_branch": "evil"}}, "'evil'"),
        ({"run": {"head_branch": None}}, "''"),
        ({"run": {"head_sha": "c" * 40}}, "ccccccc"),
    ],
)
def test_a_deployment_that_fails_one_condition_starts_nothing(changes: dict[str, Any], why: str) -> None:
    assert why in reason(announcement(**changes))


def test_only_its_creation_counts() -> None:
    assert "edited" in reason({**announcement(), "action": "edited"})


def test_the_settings_ask_for_a_workflow_or_a_claim() -> None:
    assert isinstance(decision(announcement(), config_of(workflow=WORKFLOW)), Deploy)
    other = announcement(run={"path": ".github/workflows/other.yml"})
    assert "deploy.yml" in reason(other, config_of(workflow=WORKFLOW))
    assert "claim" in reason(announcement(), config_of(require_environment_claim=True))


def test_apps_that_share_a_repository_are_told_apart_by_name() -> None:
    assert "payload.app" in reason(announcement(), two_apps())
    payload = announcement()
    payload["deployment"]["payload"]["app"] = "admin"
    answer = decision(payload, two_apps())
    assert isinstance(answer, Deploy) and answer.job.app == "admin"


@pytest.mark.case("D03")
@pytest.mark.parametrize(
    "image",
    ["ghcr.io/acme/other", "evil.io/acme/shop-web", "ghcr.io/acme/shop-web/x", "docker.io/library/redis"],
)
def test_an_image_of_others_is_forbidden(image: str) -> None:
    release = {"schema": 1, "images": {"web": f"{image}@{DIGEST}"}}
    with pytest.raises(Forbidden):
        decision(announcement(payload=release))


@pytest.mark.case("D03", "C11")
@pytest.mark.parametrize(
    "images",
    [
        None,
        [],
        {},
        {"web": "ghcr.io/acme/shop-web:main"},
        {"web": None},
        {"-x": f"ghcr.io/acme/shop@{DIGEST}"},
    ],
)
def test_a_release_that_cannot_be_read_is_refused(images: object) -> None:
    with pytest.raises(PayloadRejected):
        decision(announcement(payload={"schema": 1, "images": images}))


@pytest.mark.case("C11")
@pytest.mark.parametrize(
    "changes",
    [{"sha": "main"}, {"id": "1"}, {"ref": None}, {"task": 1}, {"environment": []}, {"run": {"path": 7}}],
)
def test_a_field_of_another_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PayloadRejected):
        decision(announcement(**changes))


# --- packages


def packages(**settings: Any) -> Config:
    return config_of(packages=True, **settings)


def hint(payload: dict[str, Any], config: Config | None = None, event: str = "package") -> ImageAnnouncement:
    answer = decision(payload, config or packages(), event)
    assert isinstance(answer, ImageAnnouncement), answer
    return answer


@pytest.mark.parametrize("event", ["package", "registry_package"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tag": "main"},
        {"tag": "latest", "kind": "docker"},
        {"repository_id": 0},
        {"namespace": "Acme", "name": "Shop-Web"},
        {"action": "updated"},
        {"commit": ""},
        {"commit": "c" * 40},
    ],
)
def test_an_image_of_a_commit_is_a_hint_at_its_release(event: str, changes: dict[str, Any]) -> None:
    (found,) = hint(package_event(event, **changes), event=event).jobs
    assert (found.app, found.environment, found.revision) == ("shop", "production", REVISION)
    assert (found.run, found.workflow, found.images) == (Run(1, 1), f"package {REVISION}", None)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"action": "deleted"}, "deleted"),
        ({"kind": "npm"}, "npm"),
        ({"kind": ""}, "unnamed"),
        ({"tag": ""}, "no tag"),
        ({"tag": "sha256-" + "b" * 64}, "attestation"),
        ({"tag": "sha256-" + "b" * 64 + ".sig"}, "attestation"),
        ({"tag": "v1", "commit": ""}, "names no commit"),
        ({"tag": "sha-aaaaaaa", "commit": "main"}, "names no commit"),
        ({"repository_id": 4712}, "no environment"),
        ({"name": "other"}, "ghcr.io/acme/other"),
        ({"namespace": "evil"}, "ghcr.io/evil/shop-web"),
    ],
)
def test_any_other_package_starts_nothing(changes: dict[str, Any], why: str) -> None:
    assert why in reason(package_event(**changes), packages(), "package")


@pytest.mark.parametrize(
    "settings",
    [{}, {"packages": True, "workflow": WORKFLOW}, {"packages": True, "require_environment_claim": True}],
)
def test_an_environment_has_to_ask_for_it_and_not_for_more(settings: dict[str, Any]) -> None:
    assert "no environment" in reason(package_event(), config_of(**settings), "package")


def test_each_environment_that_asks_is_a_candidate() -> None:
    table = config_table(packages=True)
    table["apps"]["shop"]["environments"]["staging"] = {"packages": True, "branch": "develop"}
    table["apps"]["shop"]["environments"]["other"] = {}
    found = hint(package_event(), load_config(table)).jobs
    assert [job.environment for job in found] == ["production", "staging"]


def test_an_untagged_part_of_an_image_may_lack_everything_else() -> None:
    assert "no tag" in reason(
        {"action": "published", "package": {"name": "shop-web", "package_type": "CONTAINER"}}, event="package"
    )


@pytest.mark.case("C11")
@pytest.mark.parametrize("value", [None, [], 1, True])
def test_a_package_of_another_shape_is_refused(value: object) -> None:
    with pytest.raises(PayloadRejected):
        decision({**package_event(), "package": value}, packages(), "package")
