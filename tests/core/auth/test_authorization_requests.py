"""Who may send a request for what: every claim, right and image on its own, from a case in which all hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.auth.api_tokens import Right, Token
from deployer.core.auth.authorization import (
    authorise_claims,
    authorise_person,
    authorise_plan,
    authorise_signed,
    check_images,
    previous_serves,
    require_right,
)
from deployer.core.config.settings import load_config
from deployer.core.errors import Forbidden, NotFound
from deployer.core.images import Image
from deployer.core.model import Credentials, DeployJob, Deployment, Kind, Run, Status, Trigger
from deployer.core.requests.deploy_request import DeployRequest
from testing.github.oidc_issuer import CLAIMS
from testing.receiver.receiver_inputs import (
    BUNDLE,
    DIGEST,
    REVISION,
    config_of,
    config_table,
    deploy_request,
    two_apps,
)

WORKFLOW = ".github/workflows/deploy.yml"


def test_claims_that_cover_the_request_are_a_wish() -> None:
    login = Credentials("ghcr.io", "octocat", "secret")
    assert authorise_claims(CLAIMS, deploy_request(credentials=login), config_of()) == DeployJob(
        app="shop",
        environment="production",
        kind=Kind.DEPLOY,
        trigger=Trigger.ACTION,
        actor="octocat",
        revision=REVISION,
        run=Run(12, 1),
        images={"web": Image("ghcr.io/acme/shop-web", DIGEST)},
        bundle=BUNDLE,
        credentials=login,
        workflow=WORKFLOW,
    )


@pytest.mark.case("A22", "E03")
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("repository_id", "4712"),
        ("repository_id", 4711),
        ("repository_id", None),
        ("repository_owner_id", "43"),
        ("ref", "refs/heads/develop"),
        ("ref", "refs/tags/main"),
        ("ref", "refs/heads/refs/heads/main"),
        ("ref", "refs/heads/main/x"),
        ("ref", "main"),
        ("ref", ""),
        ("event_name", "pull_request"),
        ("event_name", "pull_request_target"),
        ("event_name", "workflow_run"),
        ("event_name", "issue_comment"),
        ("event_name", ["push"]),
        ("sha", "c" * 40),
        ("run_number", "13"),
        ("run_number", 12),
        ("run_attempt", "2"),
        ("workflow_ref", "acme/shop/.github/workflows/other.yml@refs/heads/main"),
        ("workflow_ref", None),
        ("environment", "staging"),
        ("environment", None),
    ],
)
def test_a_claim_that_does_not_fit_is_refused_by_its_name(claim: str, value: object) -> None:
    config = config_of(workflow=WORKFLOW, require_environment_claim=True)
    claims = {**CLAIMS, "environment": "production"}
    assert authorise_claims(claims, deploy_request(), config).app == "shop"
    with pytest.raises(Forbidden, match=f"^{claim}: "):
        authorise_claims({**claims, claim: value}, deploy_request(), config)


@pytest.mark.case("A23", "E03")
def test_githubs_environment_names_ignore_case_and_lookalikes_do_not_pass() -> None:
    table = config_table()
    table["apps"]["shop"]["environments"] = {"desk": {"require-environment-claim": True}}
    config, request = load_config(table), deploy_request(environment="desk")
    assert authorise_claims({**CLAIMS, "environment": "Desk"}, request, config).environment == "desk"
    kelvin = "des\u212a"
    assert kelvin.lower() == "desk"
    with pytest.raises(Forbidden, match=r"^environment: "):
        authorise_claims({**CLAIMS, "environment": kelvin}, request, config)


@pytest.mark.parametrize(
    ("workflow_ref", "ref"),
    [
        ("acme/shop/.github/workflows/a@b.yml@refs/heads/rel@2", "refs/heads/rel@2"),
        (f"acme/shop/.github/workflows/a@b.yml@{REVISION}", "refs/heads/rel@2"),
    ],
)
def test_the_workflow_file_is_found_beside_at_signs_in_its_name_and_in_the_ref(
    workflow_ref: str, ref: str
) -> None:
    claims = {**CLAIMS, "workflow_ref": workflow_ref, "ref": ref}
    config = config_of(branch="rel@2", workflow=".github/workflows/a@b.yml")
    assert authorise_claims(claims, deploy_request(), config).workflow == ".github/workflows/a@b.yml"


@pytest.mark.case("A18")
def test_a_repository_that_was_renamed_is_known_by_its_id() -> None:
    assert authorise_claims({**CLAIMS, "repository": "new/name"}, deploy_request(), config_of()).app == "shop"


def test_apps_that_share_a_repository_are_told_apart_by_name() -> None:
    config = two_apps()
    assert authorise_claims(CLAIMS, deploy_request(app="admin"), config).app == "admin"
    with pytest.raises(Forbidden, match="several"):
        authorise_claims(CLAIMS, deploy_request(), config)
    with pytest.raises(Forbidden, match=r"^app: "):
        authorise_claims(CLAIMS, deploy_request(app="bank"), config)


def test_an_environment_that_is_not_configured_is_not_found() -> None:
    with pytest.raises(NotFound):
        authorise_claims(CLAIMS, deploy_request(environment="staging"), config_of())


@given(
    st.dictionaries(
        st.sampled_from(sorted(CLAIMS)), st.none() | st.booleans() | st.integers() | st.text(), min_size=1
    )
)
def test_claims_of_any_type_are_refused_or_still_true(changes: dict[str, object]) -> None:
    config = config_of(workflow=WORKFLOW)
    try:
        job = authorise_claims({**CLAIMS, **changes}, deploy_request(), config)
    except Forbidden:
        return
    assert (job.revision, job.run) == (REVISION, Run(12, 1))
    decisive = {"repository_id", "repository_owner_id", "ref", "sha", "run_number", "run_attempt"}
    assert not {name for name in decisive & set(changes) if changes[name] != CLAIMS[name]}


TOKEN = Token("anna", "shop", frozenset({Right.DEPLOY}), 0.0, None)


def test_a_person_deploys_under_the_name_of_the_token() -> None:
    job = authorise_person(TOKEN, deploy_request(), config_of())
    assert (job.app, job.trigger, job.actor, job.run, job.workflow) == (
        "shop",
        "api",
        "anna",
        Run(12, 1),
        "",
    )


def test_a_person_without_a_run_is_never_too_late() -> None:
    assert authorise_person(TOKEN, deploy_request(run=Run(0, 0)), config_of()).run is None


@pytest.mark.parametrize(
    "request_",
    [
        deploy_request(app="admin"),
        deploy_request(repository="acme/other"),
        deploy_request(images={"web": Image("ghcr.io/evil/shop-web", DIGEST)}),
    ],
)
def test_a_person_is_held_to_the_tokens_app(request_: DeployRequest) -> None:
    with pytest.raises(Forbidden):
        authorise_person(TOKEN, request_, config_of())


@pytest.mark.case("E05")
def test_an_unknown_app_and_a_foreign_one_get_the_same_answer() -> None:
    answers = []
    for app in ("admin", "bank"):
        with pytest.raises(Forbidden) as refused:
            authorise_person(TOKEN, deploy_request(app=app), two_apps())
        answers.append(str(refused.value).replace(app, "APP"))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_wants_its_own_right(kind: Kind) -> None:
    require_right(replace(TOKEN, can=frozenset({Right(kind.value)})), kind, "shop")
    with pytest.raises(Forbidden):
        require_right(replace(TOKEN, can=frozenset(Right) - {Right(kind.value)}), kind, "shop")


def test_a_token_ends_at_its_time() -> None:
    assert replace(TOKEN, expires_at=10.0).expired(10.0)
    assert not replace(TOKEN, expires_at=10.0).expired(9.9)
    assert not TOKEN.expired(1e12)


@pytest.mark.case("D03")
@pytest.mark.parametrize(
    ("repository", "allowed"),
    [
        ("ghcr.io/acme/shop", True),
        ("ghcr.io/acme/shop-web", True),
        ("ghcr.io/acme/shop-web/x", False),
        ("ghcr.io/acme/shopping", False),
        ("ghcr.io/acme/shop-", True),
        ("evil.io/ghcr.io/acme/shop-web", False),
        ("ghcr.io/acme/shop-web\n", False),
        ("ghcrxio/acme/shop-web", False),
        ("acme/shop-web", False),
    ],
)
def test_an_image_must_come_from_the_apps_repositories(repository: str, allowed: bool) -> None:
    app, images = config_of().app("shop"), {"web": Image(repository, DIGEST)}
    if allowed:
        check_images(app, images)
        return
    with pytest.raises(Forbidden, match="service web"):
        check_images(app, images)


@pytest.mark.case("D03")
def test_one_foreign_image_among_good_ones_is_enough() -> None:
    good, bad = Image("ghcr.io/acme/shop-web", DIGEST), Image("docker.io/library/redis", DIGEST)
    with pytest.raises(Forbidden, match="service cache"):
        check_images(config_of().app("shop"), {"web": good, "cache": bad})


def deployment(status: Status, release: str) -> Deployment:
    return Deployment(
        "1",
        "shop",
        "production",
        Kind.DEPLOY,
        "api",
        "anna",
        REVISION,
        status,
        "",
        0.0,
        None,
        None,
        0,
        release,
        Run(),
    )


@pytest.mark.parametrize(
    ("serving", "newest", "expected"),
    [
        (None, [], False),
        (deployment(Status.SUCCESS, "old"), [], False),
        (deployment(Status.SUCCESS, "old"), [deployment(Status.IN_PROGRESS, "new")], True),
        (deployment(Status.SUCCESS, "old"), [deployment(Status.IN_PROGRESS, "")], True),
        (deployment(Status.SUCCESS, "old"), [deployment(Status.IN_PROGRESS, "old")], False),
        (deployment(Status.SUCCESS, "old"), [deployment(Status.QUEUED, "new")], False),
    ],
)
def test_a_rollback_during_a_rollout_means_the_release_that_still_serves(
    serving: Deployment | None, newest: list[Deployment], expected: bool
) -> None:
    assert previous_serves(serving, newest) is expected


def test_a_signed_request_is_a_wish_of_the_app_whose_secret_signed_it() -> None:
    request = deploy_request(variables={"A": "1"}, repository="Acme/Shop")
    job = authorise_signed({"shop"}, request, config_of())
    assert (job.app, job.trigger, job.actor, job.run) == ("shop", "action", request.actor, Run(12, 1))
    assert job.variables == {"A": "1"} and job.images == request.images


@pytest.mark.parametrize(
    ("settings", "changes", "why"),
    [
        ({}, {"repository": "acme/bank"}, "another repository's secret"),
        ({}, {"app": "bank"}, "'bank' is no app"),
        ({}, {"images": {"web": Image("ghcr.io/mallory/shop-web", DIGEST)}}, "not an image repository"),
        ({"require_environment_claim": True}, {}, "require-environment-claim asks for"),
        ({"workflow": WORKFLOW}, {}, "workflow asks for"),
    ],
)
def test_a_signed_request_shows_neither_environment_nor_workflow(
    settings: dict[str, object], changes: dict[str, object], why: str
) -> None:
    with pytest.raises(Forbidden, match=why):
        authorise_signed({"shop"}, deploy_request(**changes), config_of(**settings))


def test_a_signed_request_for_an_environment_that_there_is_not() -> None:
    with pytest.raises(NotFound):
        authorise_signed({"shop"}, deploy_request(environment="staging"), config_of())


def test_apps_that_share_repository_and_secret_must_be_named() -> None:
    table = config_table()
    admin = {**table["apps"]["shop"], "environments": {"production": {"project": "admin"}}}
    config, both = load_config({**table, "apps": {**table["apps"], "admin": admin}}), {"shop", "admin"}
    with pytest.raises(Forbidden, match="several apps"):
        authorise_signed(both, deploy_request(), config)
    assert authorise_signed(both, deploy_request(app="admin"), config).app == "admin"
    assert authorise_signed({"admin"}, deploy_request(), config).app == "admin"


PULL = {**CLAIMS, "event_name": "pull_request", "ref": "refs/pull/7/merge", "base_ref": "main"}


def test_a_pull_request_may_ask_what_its_merge_would_change() -> None:
    job = authorise_plan(PULL, deploy_request(), config_of(plans=True))
    assert (job.app, job.environment, job.actor) == ("shop", "production", "octocat")


@pytest.mark.parametrize(
    ("settings", "claims", "why"),
    [
        ({}, {}, "answers no plans"),
        ({"plans": True}, {"event_name": "push"}, "event_name"),
        ({"plans": True}, {"event_name": "pull_request_target"}, "event_name"),
        ({"plans": True}, {"base_ref": "develop"}, "base_ref"),
        ({"plans": True}, {"base_ref": None}, "base_ref"),
        ({"plans": True}, {"repository_id": "4712"}, "repository_id"),
        ({"plans": True}, {"repository_owner_id": "1"}, "repository_owner_id"),
        ({"plans": True}, {"sha": "b" * 40}, "sha"),
    ],
)
def test_nobody_else_may(settings: dict[str, object], claims: dict[str, object], why: str) -> None:
    with pytest.raises(Forbidden, match=why):
        authorise_plan({**PULL, **claims}, deploy_request(), config_of(**settings))


def test_a_plan_names_images_of_the_app_only() -> None:
    images = {"web": Image("ghcr.io/mallory/shop-web", DIGEST)}
    with pytest.raises(Forbidden, match="not an image repository"):
        authorise_plan(PULL, deploy_request(images=images), config_of(plans=True))


@pytest.mark.parametrize(
    ("branch", "ref", "event", "taken"),
    [
        ("release/*", "refs/heads/release/7", "push", True),
        ("release/*", "refs/heads/release/7/x", "push", False),
        ("release/*", "refs/heads/release", "push", False),
        ("release/*", "refs/tags/release/7", "push", False),
        ("tags v*", "refs/tags/v1.2.3", "push", True),
        ("tags v*", "refs/tags/v1.2.3", "release", True),
        ("tags v*", "refs/heads/v1.2.3", "push", False),
        ("main", "refs/tags/main", "push", False),
        ("main", "refs/heads/main", "schedule", True),
        ("main", "refs/heads/main", "pull_request_target", False),
        ("main", "refs/heads/main", "workflow_run", False),
        ("main", "refs/heads/main", "issue_comment", False),
    ],
)
def test_an_environment_takes_the_branches_or_tags_of_its_pattern(
    branch: str, ref: str, event: str, taken: bool
) -> None:
    claims = {**CLAIMS, "ref": ref, "event_name": event, "workflow_ref": f"acme/shop/{WORKFLOW}@{ref}"}
    if taken:
        assert authorise_claims(claims, deploy_request(), config_of(branch=branch)).app == "shop"
        return
    with pytest.raises(Forbidden, match=r"^(ref|event_name): "):
        authorise_claims(claims, deploy_request(), config_of(branch=branch))
