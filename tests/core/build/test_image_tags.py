"""Tags: which ref gets which, and that a registry takes every one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.build.image_tags import slug, tags_of
from deployer.core.images import is_tag

HASHED = r"-[0-9a-f]{12}"


@pytest.mark.parametrize(
    ("ref", "tags"),
    [
        ("refs/heads/main", ("main", "latest")),
        ("refs/heads/develop", ("develop",)),
        ("refs/heads/Fix_1.x", ("Fix_1.x",)),
        ("refs/heads/feature/login", ("feature-login-df7c7aeb3560",)),
        ("refs/heads/feature-login", ("feature-login",)),
        ("refs/heads/feature/Ünïcode_x+y", ("feature-n-code_x-y-30191be98eac",)),
        ("refs/heads/-lead", ("lead-54e05a0bef38",)),
        ("refs/heads/…", ("ref-b4935894c8ce",)),
        # Names that mean something else as a tag.
        ("refs/heads/latest", ("latest-",)),
        ("refs/heads/1.2", ("1.2-",)),
        ("refs/heads/v1.2.3", ("v1.2.3-",)),
        ("refs/heads/sha-0123", ("sha-0123-",)),
        ("refs/heads/tree-0123", ("tree-0123-",)),
        ("refs/heads/tested-0123", ("tested-0123-",)),
        ("refs/heads/feature-login-df7c7aeb3560", ("feature-login-df7c7aeb3560-",)),
        # Versions.
        ("refs/tags/v1.2.3", ("1.2.3", "1.2")),
        ("refs/tags/1.2.3", ("1.2.3", "1.2")),
        ("refs/tags/v0.3.1", ("0.3.1", "0.3")),
        ("refs/tags/v2.0.0-beta.1", ("2.0.0-beta.1",)),
        ("refs/tags/v10.20.30-rc.1", ("10.20.30-rc.1",)),
        # No versions: never what a branch of that name has.
        ("refs/tags/v1.2", ("v1.2-",)),
        ("refs/tags/v01.2.3", ("v01.2.3-",)),
        ("refs/tags/v1.2.3+build", ("v1.2.3-build-",)),
        ("refs/tags/nightly", ("nightly-",)),
        ("refs/tags/latest", ("latest-",)),
        ("refs/tags/main", ("main-",)),
        # Neither.
        ("refs/pull/7/merge", ()),
        ("main", ()),
        ("", ()),
    ],
)
def test_a_refs_tags(ref: str, tags: tuple[str, ...]) -> None:
    found = tags_of(ref, "main")
    assert len(found) == len(tags)
    for tag, expected in zip(found, tags, strict=True):
        assert is_tag(tag)
        assert tag.startswith(expected) if expected.endswith("-") else tag == expected


def test_only_the_default_branch_is_latest() -> None:
    assert "latest" not in tags_of("refs/heads/main", "trunk")
    assert "latest" not in tags_of("refs/heads/main", "")
    assert tags_of("refs/heads/trunk", "trunk") == ("trunk", "latest")


@pytest.mark.parametrize("length", [114, 115, 116, 127, 128, 129, 250])
def test_a_long_name_is_cut_and_stays_its_own(length: int) -> None:
    one, other = "a" * (length - 1) + "b", "a" * (length - 1) + "c"
    for name in (one, other, f"x/{one}", f"x/{other}"):
        assert is_tag(slug(name))
    assert len({slug(one), slug(other), slug(f"x/{one}"), slug(f"x/{other}")}) == 4


def test_a_version_that_no_tag_can_hold_is_cut_like_a_branch() -> None:
    (tag,) = tags_of(f"refs/tags/v1.2.3-{'a' * 200}", "main")
    assert is_tag(tag)


NAMES = st.text(min_size=1, max_size=200) | st.text("ab-/._0123456789abcdef", min_size=1, max_size=140)


@given(one=NAMES, other=NAMES)
def test_every_name_has_a_tag_and_no_two_have_the_same(one: str, other: str) -> None:
    assert is_tag(slug(one))
    assert (slug(one) == slug(other)) == (one == other)
    assert slug(slug(one)) == slug(one) or slug(one) != one
