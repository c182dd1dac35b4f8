"""Which variables a Compose file asks for that nobody gives."""

from __future__ import annotations

import pytest

from deployer.core.variables.interpolation import (
    Filled,
    NotFillable,
    fill,
    missing_variables,
    named_variables,
)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("a: $A", ["A"]),
        ("a: ${A}", ["A"]),
        ("a: ${A:?why}", ["A"]),
        ("a: ${A?}", ["A"]),
        ("a: ${A:-b}", []),
        ("a: ${A-}", []),
        ("a: ${A:+yes}", []),
        ("a: ${A+yes}", []),
        ("a: ${A:-$B}", ["B"]),
        ("a: $$A $${A}", []),
        ("a: $$$A", ["A"]),
        ("a: ${B}${A}$A", ["A", "B"]),
        ("# ${A}\n  # $B\nc: x", []),
        ("a: $GIVEN ${GIVEN:?} $EMPTY ${EMPTY:-x}", ["EMPTY"]),
        ("a: costs 5$ and ${1}", []),
    ],
)
def test_what_compose_would_fill_with_nothing_is_missing(text: str, missing: list[str]) -> None:
    variables = {"GIVEN": "x", "EMPTY": ""}
    assert missing_variables({"compose.yaml": text, "app.env": "$NOT_READ"}, variables) == missing


def test_every_yaml_file_counts() -> None:
    assert missing_variables({"compose.yaml": "", "more/db.yml": "a: $A"}, {}) == ["A"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain $$ $2y {x}", "plain $ $2y {x}"),
        ("$A-${A}", "a-a"),
        ("${A:-x}${E:-x}${N:-x}", "axx"),
        ("${A-x}${E-x}${N-x}", "ax"),
        ("${A:+y}${E:+y}${N:+y}", "y"),
        ("${A+y}${E+y}${N+y}", "yy"),
        ("${A:?no}${A?no}${E?no}", "aa"),
        ("${N:-${E:-<$A>}}.", "<a>."),
        ("${A:-${N}}", "a"),
    ],
)
def test_a_text_is_filled_in_as_compose_does(text: str, filled: str) -> None:
    assert fill(text, {"A": "a", "E": ""}.get) == Filled(filled)


def test_names_that_got_nothing_are_told() -> None:
    assert fill("$N ${M}$N ${N:-$X}", lambda _: None) == Filled("  ", ("N", "M", "X"))


@pytest.mark.parametrize(
    "text", ["${", "${1}", "${A", "${A:-x", "${A:-x\n}", "${A:-{}}", "${N:?why}", "${E:?why}"]
)
def test_a_text_that_compose_refuses_or_its_versions_read_differently_is_refused(text: str) -> None:
    with pytest.raises(NotFillable):
        fill(text, {"A": "a", "E": ""}.get)


def test_every_name_in_a_text_is_found() -> None:
    assert named_variables(["a: $A ${B:-$C} $$D\n# $E", "${F:?x} $1"]) == {"A", "B", "C", "F"}
