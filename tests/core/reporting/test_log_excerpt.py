"""The line of a log that explains a failure best."""

from __future__ import annotations

import pytest

from deployer.core.reporting.deployment_text import plain
from deployer.core.reporting.log_excerpt import failure_line, quotation


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["starting", "ValueError: no port", "an error happened"], "ValueError: no port"),
        (["starting", "an error happened", "bye"], "an error happened"),
        (["starting", "bye"], "bye"),
        ([], ""),
    ],
)
def test_a_named_error_comes_before_a_line_with_an_error_and_the_last_line(
    lines: list[str], line: str
) -> None:
    assert failure_line(lines) == line


def test_a_quotation_is_short_and_empty_without_a_log() -> None:
    assert quotation([]) == "" and quotation(["x" * 900]) == f"; it said: {'x' * 200}"


def test_a_plain_line_keeps_its_columns_and_loses_what_moves_the_terminal() -> None:
    assert plain("a\tb\x1b[2J\u202e  ") == "a       b[2J"
