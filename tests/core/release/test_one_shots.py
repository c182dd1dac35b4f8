"""One-shot tasks of releases that come back."""

from __future__ import annotations

import pytest

from deployer.core.model import Deployment, Kind, Run, Status
from deployer.core.release.one_shots import run_one_shots

KINDS = {"d": Kind.DEPLOY, "r": Kind.REDEPLOY, "b": Kind.ROLLBACK}


def past(text: str) -> list[Deployment]:
    """`d1 b2!`: a deploy of release 1, after a failed rollback to release 2; newest first."""
    return [_one(word) for word in text.split()]


def _one(word: str) -> Deployment:
    status = {"!": Status.FAILURE, "?": Status.INACTIVE}.get(word[-1], Status.SUCCESS)
    release = word[1:].strip("!?")
    kind = KINDS[word[0]]
    return Deployment(
        "id",
        "shop",
        "production",
        kind,
        "api",
        "ada",
        "",
        status,
        "",
        0.0,
        None,
        None,
        1,
        release,
        Run(),
    )


@pytest.mark.case("H07")
def test_those_of_a_deploy_run() -> None:
    assert run_one_shots(Kind.DEPLOY, "1", past("b1 d2"))


@pytest.mark.case("H07")
def test_those_of_a_rollback_run_on_purpose_only() -> None:
    assert not run_one_shots(Kind.ROLLBACK, "1", past("d2 d1"))
    assert run_one_shots(Kind.ROLLBACK, "1", past("d2 d1"), asked=True)


@pytest.mark.parametrize(
    ("before", "run"),
    [
        ("d1", True),
        ("r1 r1! d1", True),
        ("d2? d! d1", True),  # superseded before it ran, and refused before it had a release
        ("b1 d2 d1", False),
        ("r1 b1 d2 d1", False),
        ("d2! d1", False),  # the newer one's tasks may have run
        ("r2 d1", False),
        ("d2 d1", False),
        ("d1 b1 d2", True),
        ("", False),
    ],
)
@pytest.mark.case("H07")
def test_those_of_a_redeploy_run_while_no_other_release_was_tried(before: str, run: bool) -> None:
    assert run_one_shots(Kind.REDEPLOY, "1", past(before)) is run
    assert run_one_shots(Kind.REDEPLOY, "1", past(before), asked=True)
