"""Every attack case has a test, and the page that says so is current."""

from __future__ import annotations

import pytest

from testing.security.attack_cases import CASES
from testing.security.security_cases_page import PAGE, REQUIRED, page, shown_by


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith(REQUIRED)])
def test_every_case_has_a_test(case: str) -> None:
    assert shown_by().get(case), f"no test is marked with {case}: {CASES[case][0]}"


def test_no_test_is_marked_with_a_case_that_there_is_not() -> None:
    assert set(shown_by()) <= set(CASES)


def test_the_page_is_what_the_marks_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: script/security-cases"
