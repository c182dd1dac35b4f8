"""The lines of the input `branches`."""

from __future__ import annotations

import pytest

from deployer.core.build.branch_rules import (
    Kind,
    Mode,
    Rule,
    default_rules,
    find_rule,
    find_schedule,
    parse_branches,
)
from deployer.core.errors import ConfigError
from deployer.core.refs import matches, ref_pattern

TEXT = """
# what goes where
main: deploy production
develop:build
release/*: deploy staging
hotfix/** :  deploy
docs/**: skip
tags v*: build
tags **: skip
schedule: deploy production
#odd: test
**: test
"""
RULES = parse_branches(TEXT, "live")


@pytest.mark.parametrize(
    ("ref", "mode", "environment"),
    [
        ("refs/heads/main", Mode.DEPLOY, "production"),
        ("refs/heads/develop", Mode.BUILD, ""),
        ("refs/heads/release/1", Mode.DEPLOY, "staging"),
        ("refs/heads/release/1/x", Mode.TEST, ""),
        ("refs/heads/release", Mode.TEST, ""),
        ("refs/heads/hotfix/a/b", Mode.DEPLOY, "live"),
        ("refs/heads/docs/a/b", Mode.SKIP, ""),
        ("refs/heads/#odd", Mode.TEST, ""),
        ("refs/heads/schedule", Mode.TEST, ""),
        ("refs/heads/v1", Mode.TEST, ""),
        ("refs/tags/v1.2.3", Mode.BUILD, ""),
        ("refs/tags/main", Mode.SKIP, ""),
    ],
)
def test_the_first_line_that_fits_decides(ref: str, mode: Mode, environment: str) -> None:
    rule = find_rule(RULES, ref)
    assert rule is not None
    assert (rule.mode, rule.environment) == (mode, environment)


def test_nothing_fits_what_is_neither_a_branch_nor_a_tag() -> None:
    assert find_rule(RULES, "refs/pull/7/merge") is None
    assert find_rule(RULES, "main") is None


def test_scheduled_runs_have_a_line_of_their_own() -> None:
    assert find_schedule(RULES) == Rule(Kind.SCHEDULE, "", Mode.DEPLOY, "production")
    assert find_schedule(default_rules("main", "develop", "production")) is None


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("main", "main", True),
        ("main", "main2", False),
        ("main", "Main", False),
        ("m.in", "main", False),
        ("a+b", "a+b", True),
        ("*", "a", True),
        ("*", "a/b", False),
        ("**", "a/b", True),
        ("**", "", True),
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/b/b/c", False),
        ("a/**/c", "a/b/b/c", True),
        ("*-x", "y-x", True),
        ("main", "main\n", False),
        ("*", "a\nb", True),
    ],
)
def test_stars_and_nothing_else_are_special(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("main", "should be PATTERN"),
        ("main:", "should be PATTERN"),
        ("main: deploy a b", "should be PATTERN"),
        ("a b: test", "should be PATTERN"),
        ("main: ship", "'ship' should be"),
        ("main: Deploy", "'Deploy' should be"),
        ("main: build production", "only deploy goes"),
        ("main: deploy Production!", "environment 'Production!'"),
        ("refs/heads/main: test", "no branch's or tag's name"),
        ("a?: test", "no branch's or tag's name"),
        ("[ab]: test", "no branch's or tag's name"),
        ("a^: test", "no branch's or tag's name"),
    ],
)
def test_a_bad_line_is_named_with_its_number(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match="line 2") as caught:
        parse_branches(f"main: test\n{line}", "production")
    assert words in str(caught.value)
    assert "deploy production" in caught.value.hint


def test_all_bad_lines_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"line 1.*line 3"):
        parse_branches("a\nb: test\nc", "production")


def test_a_bare_deploy_needs_an_environment() -> None:
    with pytest.raises(ConfigError, match="environment ''"):
        parse_branches("main: deploy", "")
    assert parse_branches("", "production") == ()


@pytest.mark.parametrize(
    ("setting", "pattern"),
    [
        ("main", "refs/heads/main"),
        ("release/*", "refs/heads/release/*"),
        ("tags v*", "refs/tags/v*"),
        ("tags", "refs/heads/tags"),
    ],
)
def test_a_servers_environment_takes_branches_or_tags(setting: str, pattern: str) -> None:
    assert ref_pattern(setting) == pattern


def test_the_default_is_the_designs_table() -> None:
    assert default_rules("main", "develop", "production") == (
        Rule(Kind.BRANCH, "main", Mode.DEPLOY, "production"),
        Rule(Kind.BRANCH, "develop", Mode.BUILD),
        Rule(Kind.TAG, "v*", Mode.BUILD),
    )
    assert default_rules("", "", "production") == (Rule(Kind.TAG, "v*", Mode.BUILD),)
