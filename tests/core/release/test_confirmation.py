"""The word that a release which serves may stay."""

from __future__ import annotations

import json

import pytest

from deployer.core.errors import ConfirmationFailed, PayloadRejected
from deployer.core.release.confirmation import (
    Confirmation,
    ConfirmationVerdict,
    judge_confirmation,
    parse_confirmation,
)


def test_a_word_has_a_verdict_and_may_have_a_reason() -> None:
    assert parse_confirmation(b'{"verdict": "confirmed"}') == (ConfirmationVerdict.CONFIRMED, "")
    word = parse_confirmation(b'{"verdict": "failed", "reason": "no checkout"}')
    assert word == (ConfirmationVerdict.FAILED, "no checkout")


def test_a_long_reason_is_cut() -> None:
    raw = json.dumps({"verdict": "failed", "reason": "x" * 9000}).encode()
    assert len(parse_confirmation(raw)[1]) == 500


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "verdict"),
        ({"verdict": "missing"}, "verdict"),
        ({"verdict": ""}, "verdict"),
        ({"verdict": ["confirmed"]}, "verdict"),
        ({"verdict": "failed", "reason": 7}, "reason"),
    ],
)
def test_what_is_no_word_is_refused(body: object, field: str) -> None:
    with pytest.raises(PayloadRejected, match=f"^{field}: should be"):
        parse_confirmation(json.dumps(body).encode())


def test_a_word_is_awaited_until_it_comes_or_its_time_is_over() -> None:
    waiting = Confirmation(until=100.0)
    assert waiting.awaited(99.9) and not waiting.awaited(100.0)
    assert not Confirmation(100.0, ConfirmationVerdict.CONFIRMED).awaited(50.0)


def test_only_the_word_confirmed_lets_a_release_stay() -> None:
    assert judge_confirmation(Confirmation(100.0)) is False
    assert judge_confirmation(Confirmation(100.0, ConfirmationVerdict.CONFIRMED)) is True


@pytest.mark.parametrize(
    ("confirmation", "text"),
    [
        (Confirmation(100.0, ConfirmationVerdict.FAILED, "no checkout"), "not confirmed: no checkout"),
        (Confirmation(100.0, ConfirmationVerdict.FAILED), "no reason was given"),
        (Confirmation(100.0, ConfirmationVerdict.MISSING), "the release was not confirmed in time"),
    ],
)
def test_every_other_word_refuses_it(confirmation: Confirmation, text: str) -> None:
    with pytest.raises(ConfirmationFailed, match=text) as caught:
        judge_confirmation(confirmation)
    assert caught.value.code == "confirmation-failed" and caught.value.hint
