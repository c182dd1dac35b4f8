"""Which variables a Compose file asks for that nobody gives."""

from __future__ import annotations

import pytest

from deployer.core.variables.interpolation import missing_variables


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
