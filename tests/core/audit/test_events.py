"""Audit events of jobs, deployments, refusals and tokens: actor, origin, verdict, facts."""

from __future__ import annotations

from deployer.core.audit import events
from deployer.core.audit.chain import Action
from deployer.core.auth.api_tokens import Right
from deployer.core.images import Image
from deployer.core.model import DeployJob, Deployment, Kind, Run, Status, Trigger

DIGEST = "sha256:" + "a" * 64
DEPLOYMENT = Deployment(
    id="d1",
    app="shop",
    environment="production",
    kind=Kind.DEPLOY,
    trigger=Trigger.ACTION,
    actor="ada",
    revision="b" * 40,
    status=Status.FAILURE,
    reason="no",
    created_at=1.0,
    started_at=2.0,
    ended_at=3.0,
    attempts=1,
    release="r1",
    run=Run(7, 2),
    previous="c" * 40,
)


def test_an_accepted_job_has_its_actor_and_its_run() -> None:
    job = DeployJob("shop", "production", Kind.DEPLOY, Trigger.ACTION, "ada", run=Run(7, 2), origin="1.2.3.4")
    event = events.acceptance(job, "d1", "queued")
    assert (event.action, event.who, event.origin, event.verdict) == (
        Action.ACCEPT,
        "ada",
        "1.2.3.4",
        "queued",
    )
    assert event.facts["run"] == "7.2" and event.facts["deployment"] == "d1"
    by_hand = DeployJob("shop", "production", Kind.ROLLBACK, Trigger.API, "ada")
    assert events.acceptance(by_hand, "d2", "queued").facts["run"] == ""


def test_a_release_and_an_end_are_the_servers_own() -> None:
    complete = events.completion(DEPLOYMENT, {"web": Image("ghcr.io/acme/web", DIGEST)})
    assert complete.facts["image web"] == f"ghcr.io/acme/web@{DIGEST}" and complete.who == events.SERVER
    ended = events.ending(DEPLOYMENT)
    assert (ended.verdict, ended.origin) == (Status.FAILURE, events.LOCAL)
    assert ended.facts["serves before"] == "c" * 40 and ended.facts["reason"] == "no"


def test_a_confirmation_is_the_askers() -> None:
    event = events.confirmation(DEPLOYMENT, "ok", "well")
    assert (event.action, event.who, event.origin) == (Action.CONFIRM, "ada", "")


def test_a_refusal_names_its_path_where_the_rule_does_not() -> None:
    rule = "POST /api/v1/deployments"
    assert "path" not in events.refusal("1.2.3.4", "forbidden", "no", rule, "/api/v1/deployments").facts
    assert events.refusal("1.2.3.4", "not-found", "no", "GET <any>", "/x").facts["path"] == "/x"


def test_tokens_are_granted_with_rights_and_an_end_and_revoked_by_name() -> None:
    granted = events.granting("ci", "shop", frozenset({Right.READ, Right.DEPLOY}), 9.4)
    assert granted.facts == {"token": "ci", "can": "deploy,read", "expires": "9"}
    assert events.granting("ci", "shop", frozenset({Right.READ}), None).facts["expires"] == ""
    assert events.revoking("ci").action is Action.REVOKE
