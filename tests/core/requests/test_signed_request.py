"""A signed request: for one server, one time, and once."""

from __future__ import annotations

import json

import pytest

from deployer.core.errors import PayloadRejected, TokenRejected
from deployer.core.requests.deploy_request import encode_request, parse_request
from deployer.core.requests.signed_request import LIFETIME, RequestSignature, judge_stamp, sign, stamped
from deployer.core.webhooks.delivery import verify
from testing.receiver.receiver_inputs import SECRET, URL, deploy_request

NONCE = "0123456789abcdef" * 2
STAMP = RequestSignature(URL, 1_700_000_000, NONCE)
BODY = stamped(encode_request(deploy_request()), STAMP)


def test_the_stamp_is_in_the_signed_bytes_and_the_request_stays_what_it_was() -> None:
    assert judge_stamp(BODY, URL, STAMP.at) == STAMP
    assert parse_request(BODY) == deploy_request()
    assert verify(BODY, sign(BODY, SECRET), [SECRET]) == {0}


@pytest.mark.parametrize("seconds", [-LIFETIME, 0, LIFETIME])
def test_it_is_good_for_five_minutes(seconds: int) -> None:
    assert judge_stamp(BODY, URL, STAMP.at + seconds)


@pytest.mark.parametrize("seconds", [-LIFETIME - 1, LIFETIME + 1, 86_400])
def test_after_that_it_is_not_whichever_clock_is_wrong(seconds: int) -> None:
    with pytest.raises(TokenRejected, match="s ago") as caught:
        judge_stamp(BODY, URL, STAMP.at + seconds)
    assert "clocks" in caught.value.hint


def test_a_request_for_another_server_is_not_for_this_one() -> None:
    with pytest.raises(TokenRejected, match="not for this server"):
        judge_stamp(BODY, "https://staging.example.com", STAMP.at)
    assert judge_stamp(BODY, f"{URL}/", STAMP.at)


@pytest.mark.parametrize(
    "stamp",
    [
        None,
        [],
        {},
        {"server": URL, "at": 1.5, "nonce": NONCE},
        {"server": URL, "at": True, "nonce": NONCE},
        {"server": 1, "at": 1, "nonce": NONCE},
        {"server": URL, "at": 1, "nonce": "short"},
        {"server": URL, "at": 1, "nonce": None},
        {"server": URL, "at": 1, "nonce": "G" * 32},
    ],
)
def test_a_body_without_a_whole_stamp_is_none(stamp: object) -> None:
    raw = json.dumps({"schema": 1, "stamp": stamp}).encode()
    with pytest.raises(PayloadRejected, match="stamp"):
        judge_stamp(raw, URL, 1)
