"""Records of protected runs: what they prove for a question, a commit and a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from deployer.core.auth.authorization import authorise_claims, authorise_query, withheld
from deployer.core.errors import Forbidden, ImageNotFound, PayloadRejected
from deployer.core.images import Image
from deployer.core.model import Attested, Run
from deployer.core.release.proven_images import (
    Known,
    ProvenQuery,
    ProvenRun,
    Source,
    encode_query,
    encode_tested,
    find_known,
    images_of_revision,
    parse_query,
    parse_tested,
    unproven_reuse,
)
from deployer.core.requests.deploy_request import encode_request, parse_request
from testing.compose_models import digest
from testing.github.oidc_issuer import CLAIMS
from testing.receiver.receiver_inputs import config_of, deploy_request

WEB, API = "ghcr.io/acme/shop-web", "ghcr.io/acme/shop-api"
REVISION = "a" * 40
T1, T2, COMBINATION, OTHER = "1" * 64, "2" * 64, "c" * 64, "d" * 64


def record(web: str, api: str, trees: tuple[str, str] = (T1, T2), **changes: Any) -> ProvenRun:
    fields: dict[str, Any] = {"revision": REVISION, "combination": COMBINATION, **changes}
    images = {"web": Image(WEB, digest(web)), "api": Image(API, digest(api))}
    return ProvenRun(
        "shop", "production", images=images, trees=dict(zip(images, trees, strict=True)), **fields
    )


def query(**changes: Any) -> ProvenQuery:
    fields: dict[str, Any] = {
        "repository": "acme/shop",
        "app": "",
        "environment": "production",
        "revision": REVISION,
        "run": Run(12, 1),
        "combination": COMBINATION,
        "services": {"web": Source(WEB, T1), "api": Source(API, T2)},
    }
    return ProvenQuery(**{**fields, **changes})


def test_one_runs_whole_set_is_tested() -> None:
    newest, older = record("a", "b"), record("c", "d")
    assert find_known([newest, older], query()) == Known(newest.images, True)
    assert find_known([], query()) == Known({}, False)


def test_images_of_two_runs_are_known_and_not_tested_together() -> None:
    first, second = record("a", "b", (T1, OTHER)), record("c", "d", (OTHER, T2))
    known = find_known([second, first], query())
    assert known == Known({"web": Image(WEB, digest("a")), "api": Image(API, digest("d"))}, False)
    newer = record("e", "f", (T1, OTHER))
    assert find_known([newer, second, first], query()).images["web"] == Image(WEB, digest("e"))


@pytest.mark.parametrize(
    "changes",
    [
        {"combination": OTHER},
        {"combination": ""},
        {"services": {"web": Source(WEB, T1), "api": Source(API, OTHER)}},
        {"services": {"web": Source(WEB, T1), "api": Source("ghcr.io/acme/shop-else", T2)}},
        {"services": {"web": Source(WEB, T1), "worker": Source(API, T2)}},
    ],
)
def test_another_test_tree_repository_or_service_is_another_question(changes: dict[str, Any]) -> None:
    known = find_known([record("a", "b")], query(**changes))
    assert not known.tested and known.images["web"] == Image(WEB, digest("a"))


def test_a_record_without_a_tree_proves_the_commit_only() -> None:
    made = ProvenRun("shop", "production", REVISION, "", {"web": Image(WEB, digest("a"))}, {})
    assert find_known([made], query()).images == {}
    assert images_of_revision([made], REVISION) == made.images
    assert images_of_revision([made], "b" * 40) == {}


def test_an_image_that_was_taken_over_must_be_in_a_record_with_its_tree() -> None:
    made = record("a", "b")
    tested = Attested(COMBINATION, {"web": T1, "api": T2}, frozenset({"web"}))
    assert unproven_reuse([made], tested, made.images) == []
    assert unproven_reuse([], tested, made.images) == ["web"]
    assert unproven_reuse([record("c", "b")], tested, made.images) == ["web"]
    assert unproven_reuse([record("a", "b", (OTHER, T2))], tested, made.images) == ["web"]


def test_what_is_encoded_is_parsed_again() -> None:
    assert parse_query(encode_query(query())) == query()
    assert parse_query(encode_query(query(combination=""))).combination == ""
    tested = Attested(COMBINATION, {"web": T1}, frozenset({"web"}))
    assert parse_tested(encode_tested(tested), {"web": 0}) == tested


def test_a_request_carries_the_runs_word_or_none() -> None:
    for word in (Attested(COMBINATION, {"web": T1}, frozenset({"web"})), None):
        request = deploy_request(tested=word)
        assert parse_request(encode_request(request)).tested == word


@pytest.mark.case("X13")
def test_the_hint_for_a_missing_image_names_the_setting_only_where_it_would_help() -> None:
    app = config_of().app("shop")
    assert withheld(app, WEB, ImageNotFound("x", hint="push it")).hint == "push it"
    assert "other-images" in withheld(app, "ghcr.io/acme/payroll", ImageNotFound("x", hint="push it")).hint


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.update(schema=2),
        lambda body: body.update(revision="main"),
        lambda body: body.update(repository=None),
        lambda body: body.update(app="x" * 301),
        lambda body: body.update(combination="x"),
        lambda body: body.update(services={}),
        lambda body: body.update(services=[]),
        lambda body: body.update(services={f"s{n}": [WEB, T1] for n in range(101)}),
        lambda body: body.update(services={"../x": [WEB, T1]}),
        lambda body: body.update(services={"web": [WEB]}),
        lambda body: body.update(services={"web": [WEB, "1"]}),
        lambda body: body.update(services={"web": [f"{WEB}:tag", T1]}),
        lambda body: body.update(services={"web": [WEB + "a" * 600, T1]}),
        lambda body: body.update(run=[]),
        lambda body: body["run"].update(number=True),
        lambda body: body["run"].update(attempt=-1),
    ],
)
def test_a_question_of_another_form_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    body = json.loads(encode_query(query()))
    spoil(body)
    with pytest.raises(PayloadRejected):
        parse_query(json.dumps(body).encode())


@pytest.mark.parametrize(
    "table",
    [
        None,
        {"combination": "", "trees": {}},
        {"combination": "", "trees": [], "reused": []},
        {"combination": "x", "trees": {}, "reused": []},
        {"combination": "", "trees": {"other": T1}, "reused": []},
        {"combination": "", "trees": {"web": "1"}, "reused": []},
        {"combination": "", "trees": {"web": T1}, "reused": ["api"]},
        {"combination": "", "trees": {"web": T1}, "reused": [1]},
    ],
)
def test_a_runs_word_of_another_form_is_refused(table: object) -> None:
    with pytest.raises(PayloadRejected, match="tested"):
        parse_tested(table, {"web": 0})


@pytest.mark.case("X05")
def test_only_a_run_that_may_deploy_to_the_environment_reads_and_writes_its_records() -> None:
    config = config_of(workflow=".github/workflows/deploy.yml", require_environment_claim=True)
    claims = {**CLAIMS, "environment": "production"}
    app, environment = authorise_query(claims, query(), config)
    assert (app.name, environment.name) == ("shop", "production")
    request = deploy_request(tested=Attested(COMBINATION, {"web": T1}))
    assert authorise_claims(claims, request, config).tested == request.tested
    for wrong in (
        {"ref": "refs/heads/topic"},
        {"environment": "staging"},
        {"event_name": "pull_request_target"},
        {"repository_id": "4712"},
        {"sha": "b" * 40},
        {"workflow_ref": "acme/shop/.github/workflows/other.yml@refs/heads/main"},
    ):
        with pytest.raises(Forbidden):
            authorise_query({**claims, **wrong}, query(), config)
        with pytest.raises(Forbidden):
            authorise_claims({**claims, **wrong}, request, config)
