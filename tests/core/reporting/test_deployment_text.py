"""Deployments in words: for GitHub and for a terminal."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.model import Availability, Deployment, Kind, Run, Status, Trigger
from deployer.core.reporting.deployment_text import (
    MAX_DESCRIPTION,
    ago,
    cut,
    describe,
    history_table,
    one_line,
    payload_of,
    span,
)

REVISION = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
NOW = 10_000.0
MEASURED = Availability(231, 3, 24.1, {"before": 0.9}, {"before": 1.6})


def a_deployment(**changes: Any) -> Deployment:
    deployment = Deployment(
        id="d1",
        app="shop",
        environment="production",
        kind=Kind.DEPLOY,
        trigger=Trigger.ACTION,
        actor="octocat",
        revision=REVISION,
        status=Status.SUCCESS,
        reason="",
        created_at=NOW - 180,
        started_at=NOW - 170,
        ended_at=NOW - 158,
        attempts=1,
        release="r1",
        run=Run(1, 1),
    )
    return dataclasses.replace(deployment, **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": Status.QUEUED}, "deploy of 1a2b3c4 waits for its turn"),
        ({"status": Status.IN_PROGRESS}, "deploy of 1a2b3c4 is running"),
        ({}, "deploy of 1a2b3c4 serves after 12 s"),
        ({"kind": Kind.ROLLBACK}, "rollback of 1a2b3c4 serves after 12 s"),
        (
            {"status": Status.FAILURE, "reason": "web: unhealthy [gate-failed]"},
            "deploy of 1a2b3c4 was refused: web: unhealthy [gate-failed]",
        ),
        ({"status": Status.ERROR, "reason": "no engine"}, "deploy of 1a2b3c4 failed: no engine"),
        ({"status": Status.INACTIVE}, "deploy of 1a2b3c4 did not run: a newer one was requested"),
        ({"status": Status.INACTIVE, "reason": "7 is newer"}, "deploy of 1a2b3c4 did not run: 7 is newer"),
        (
            {"kind": Kind.REDEPLOY, "revision": "", "status": Status.QUEUED},
            "redeploy of the chosen release waits for its turn",
        ),
    ],
)  # fmt: skip
def test_githubs_description_says_what_happened(changes: dict[str, Any], expected: str) -> None:
    assert describe(a_deployment(**changes)) == expected


@given(st.sampled_from(Status), st.text(max_size=400))
def test_githubs_description_always_fits_and_stays_one_line(status: Status, reason: str) -> None:
    text = describe(a_deployment(status=status, reason=reason))
    assert 0 < len(text) <= MAX_DESCRIPTION
    assert not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text)


def test_a_text_that_fits_is_not_cut_and_one_that_does_not_ends_with_an_ellipsis() -> None:
    assert cut("x" * 140, 140) == "x" * 140
    assert cut("x" * 141, 140) == "x" * 139 + "…"
    assert cut("abc def", 5) == "abc…"


@pytest.mark.case("D05")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\x00b\x9bc", "abc"),
        ("user\u202etxt.exe\u2066", "usertxt.exe"),
        ("  ü → 日本  ", "ü → 日本"),
    ],
)
def test_a_line_for_a_terminal_has_nothing_that_takes_effect(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_our_own_deployments_on_github_carry_a_mark_and_the_id() -> None:
    assert payload_of(a_deployment()) == {"schema": "deployer/1", "deployment": "d1"}


def test_what_users_noticed_is_told_to_github() -> None:
    text = describe(a_deployment(measured=MEASURED))
    assert text == "deploy of 1a2b3c4 serves after 12 s; 3 of 231 requests failed, longest gap 24 ms"


def test_the_history_is_a_table_with_aligned_columns_and_no_colours() -> None:
    rows = [
        a_deployment(
            id="d1", actor="ada", trigger="cli", status=Status.IN_PROGRESS, ended_at=None, created_at=NOW
        ),
        a_deployment(
            id="d2",
            kind=Kind.ROLLBACK,
            actor="",
            trigger=Trigger.CLI,
            revision="",
            release="",
            status=Status.FAILURE,
            reason="\x1b[31mweb\nout",
            measured=MEASURED,
        ),
    ]
    assert history_table(rows, NOW).splitlines() == [
        "ID  STATUS       WHEN       TOOK  LOST   GAP    WHAT      REVISION  RELEASE  BY         REASON",
        "d1  in_progress  just now   -     -      -      deploy    1a2b3c4   r1       ada (cli)",
        "d2  failure      3 min ago  12 s  3/231  24 ms  rollback  -         -        - (cli)    [31mweb out",
    ]


def test_long_names_and_reasons_do_not_break_the_table() -> None:
    (_, line) = history_table([a_deployment(actor="a" * 300, reason="r" * 300)], NOW).splitlines()
    assert len(line) < 200


def real(n: int, **changes: Any) -> Deployment:
    """A deployment with an id, a release and words as long as real ones."""
    id, reason = (
        f"0193c8f1a2b{n:x}9f0c8e5d7a61",
        "backend: its health check failed; last answer: 503 after 12.4 s",
    )
    status = Status.FAILURE if n % 2 else Status.SUCCESS
    told = {"status": status, "reason": reason if n % 2 else "", "measured": MEASURED}
    return a_deployment(**{"id": id, "release": "5a1b" * 4, "actor": "octocat-the-second", **told, **changes})


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_w7_the_history_fits_the_terminal(width: int) -> None:
    table = history_table([real(1), real(2), real(3)], NOW, width)
    lines = table.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].split()[:3] == ["ID", "STATUS", "WHEN"]
    assert "health check failed" in " ".join(table.split()), "a failure's reason is never left out"


def test_w7_a_wide_terminal_has_all_columns_and_a_narrow_one_short_ids() -> None:
    whole = history_table([real(1)], NOW)
    assert history_table([real(1)], NOW, 400) == whole and real(1).id in whole
    assert history_table([real(1), real(2)], NOW, 80).splitlines() == [
        "ID            STATUS   WHEN       TOOK  WHAT    REVISION  RELEASE",
        "0193c8f1a2b1  failure  3 min ago  12 s  deploy  1a2b3c4   5a1b5a1b5a1b5a1b",
        "  backend: its health check failed; last answer: 503 after 12…",
        "0193c8f1a2b2  success  3 min ago  12 s  deploy  1a2b3c4   5a1b5a1b5a1b5a1b",
    ]
    assert history_table([real(1)], NOW, 40).splitlines() == [
        "ID            STATUS   WHEN",
        "0193c8f1a2b1  failure  3 min ago",
        "  backend: its health check failed; last",
        "  answer: 503 after 12…",
    ]


def test_an_empty_history_says_so() -> None:
    assert history_table([], NOW) == "no deployments yet"


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (-50, "just now"),
        (0.5, "just now"),
        (1, "1.0 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (90_000, "1 d ago"),
    ],
)
def test_a_moment_is_told_in_its_largest_unit(passed: float, expected: str) -> None:
    assert ago(NOW - passed, NOW) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (-3, "0 s"), (0.04, "0.0 s"), (9.96, "10.0 s"), (10, "10 s")]
)
def test_a_short_span_has_a_decimal(seconds: float, expected: str) -> None:
    assert span(seconds) == expected


@pytest.mark.parametrize(
    ("started", "ended", "expected"),
    [(None, NOW, "-"), (NOW, None, "-"), (NOW, NOW - 5, "0 s"), (NOW, NOW + 3_725, "62 min 5 s")],
)
def test_how_long_it_took_needs_both_ends(started: float | None, ended: float | None, expected: str) -> None:
    assert describe(a_deployment(started_at=started, ended_at=ended)).endswith(f"serves after {expected}")
