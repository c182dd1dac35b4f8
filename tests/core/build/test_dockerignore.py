"""`.dockerignore`: the rows hold for Docker's own matcher.

tests/ci/images/test_build_hashes.py asks the engine itself.
"""

from __future__ import annotations

import pytest

from deployer.core.build.dockerignore import parse_ignore

ROWS = [
    ("", "a", False),
    ("# a", "a", False),
    ("#a", "#a", False),
    (" #a", "#a", True),
    ("a", "a", True),
    ("a", "b", False),
    ("a", "a/b/c", True),
    ("a", "b/a", False),
    ("/a", "a", True),
    ("a/", "a/b", True),
    ("./a/../b", "b", True),
    ("\ufeffa", "a", True),
    ("  a  ", "a", True),
    (".", "a", False),
    ("*", "a", True),
    ("*", "a/b", True),
    ("*.md", "x.md", True),
    ("*.md", "a/x.md", False),
    ("*/*.md", "a/x.md", True),
    ("**/*.md", "x.md", True),
    ("**/*.md", "a/b/x.md", True),
    ("**", "a/b", True),
    ("**md", "a/xmd", True),
    ("**/md", "a/md", True),
    ("**/md", "a/xmd", False),
    ("a/**", "a/b/c", True),
    ("a/**", "a", False),
    ("a/**/c", "a/c", True),
    ("a/**/c", "a/b/b/c", True),
    ("a?c", "abc", True),
    ("a?c", "a/c", False),
    ("[ab]x", "ax", True),
    ("[^a]x", "ax", False),
    ("a.c", "abc", False),
    ("a+(b)", "a+(b)", True),
    ("a\\*b", "a*b", True),
    ("a\\*b", "axb", False),
    ("a\n!a/b", "a/b", False),
    ("a\n!a/b", "a/c", True),
    ("!a\na", "a", True),
    ("*\n!a\na/x", "a/x", True),
    ("*\n! a", "a", False),
]


@pytest.mark.parametrize(("text", "path", "hidden"), ROWS)
def test_the_last_line_that_fits_decides(text: str, path: str, hidden: bool) -> None:
    ignore = parse_ignore(text)
    assert ignore is not None
    assert ignore.hides(path) is hidden


@pytest.mark.parametrize("text", ["[a", "a\\", "!", "/"])
def test_what_docker_refuses_is_not_guessed(text: str) -> None:
    assert parse_ignore(text) is None


def test_only_a_line_with_an_exception_makes_one() -> None:
    with_one, without = parse_ignore("a\n!a/b"), parse_ignore("a")
    assert with_one is not None and with_one.has_exceptions
    assert without is not None and not without.has_exceptions


def test_a_pattern_that_would_never_end_is_not_compared() -> None:
    """Then the tree cannot be told, and the image is built."""
    assert parse_ignore("*a" * 14 + "*b") is None
    assert parse_ignore("**/a/" * 12 + "b") is None
    assert parse_ignore("**/*.test.*") is not None
