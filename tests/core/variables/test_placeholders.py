from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.variables.placeholders import placeholders, quoted_names

KINDS = {
    "8080": "1001",
    "0.25": "0.5",
    "1m30s": "10s",
    "512m": "64m",
    "2GiB": "64m",
    "192.168.4.17": "127.0.0.1",
    "172.20.0.0/16": "10.0.0.0/24",
    "Off": "true",
    "": "",
    "/srv/data": "/value-of-name",
    "postgres://app:pw@db": "value-of-name",
    "hunter2": "value-of-name",
}


@pytest.mark.case("X03")
@pytest.mark.parametrize("value", KINDS)
def test_a_placeholder_is_of_the_values_kind(value: str) -> None:
    assert placeholders({"NAME": value}) == {"NAME": KINDS[value]}


def test_numbers_stay_different() -> None:
    assert placeholders({"A": "80", "B": "443"}) == {"A": "1001", "B": "1002"}


@pytest.mark.case("X03")
@given(st.text(min_size=6), st.text(min_size=6))
def test_two_values_that_are_no_kind_of_plain_text_have_the_same_placeholder(one: str, other: str) -> None:
    """So the placeholder tells nothing of the value but its kind."""
    mine, theirs = (placeholders({"X": text})["X"] for text in (one, other))
    known = {*KINDS.values(), "/value-of-x", "value-of-x"}
    assert {mine, theirs} <= known


def test_only_variables_whose_value_stands_in_the_text_are_named() -> None:
    variables = {"PORT": "80a0", "TOKEN": "absent", "SHORT": "80"}
    assert quoted_names("invalid port 80a0", variables) == ["PORT"]
