"""Trees: what changes them, what does not, and what has none."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.build.build_hash import Places, find_places, hash_tree, hash_value

TARGET: dict[str, Any] = {
    "context": "/w/web",
    "dockerfile": "Dockerfile",
    "contexts": {"base": "docker-image://alpine:3", "lib": "/w/lib", "other": "target:api"},
    "args": {"TITLE": "Shop"},
    "labels": {"a": "b"},
    "target": "final",
    "platforms": ["linux/amd64"],
    "tags": ["ghcr.io/acme/web:1"],
    "secret": ["id=npm,src=/etc/one/.npmrc"],
}
CONTENTS = {"": "1", "lib": "2", "other": "3"}
HERE = hash_tree(TARGET, CONTENTS, "d")


def test_a_tree_is_a_hash_that_a_tag_can_hold() -> None:
    assert len(HERE) == 64
    assert hash_tree(dict(reversed(TARGET.items())), CONTENTS, "d") == HERE
    assert hash_value({"b": 1, "a": [2]}) == hash_value({"a": [2], "b": 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"context": "/elsewhere/web"},
        {"tags": ["ghcr.io/acme/web:2"]},
        {"cache-from": ["x"], "cache-to": ["y"], "output": ["type=docker"], "pull": True, "no-cache": True},
        {
            "labels": {
                "a": "b",
                "org.opencontainers.image.revision": "1",
                "org.opencontainers.image.created": "2",
            }
        },
        {"secret": ["id=npm,src=/etc/two/.npmrc"]},
        {"secret": [{"id": "npm", "src": "/etc/two/.npmrc"}]},
        {"secret": ["src=/x,id=npm"]},
        {"contexts": {**TARGET["contexts"], "lib": "/elsewhere/lib", "other": "target:renamed"}},
    ],
)
def test_where_things_are_and_what_is_secret_changes_nothing(changes: dict[str, Any]) -> None:
    assert hash_tree({**TARGET, **changes}, CONTENTS, "d") == HERE


@pytest.mark.parametrize(
    "changes",
    [
        {"args": {"TITLE": "Other"}},
        {"args": {}},
        {"target": "test"},
        {"platforms": ["linux/arm64"]},
        {"labels": {"a": "c"}},
        {"contexts": {**TARGET["contexts"], "base": "docker-image://alpine:4"}},
        {"secret": ["id=other"]},
        {"secret": ["env=NPM"]},
        {"network": "none"},
        {"dockerfile-inline": "FROM scratch"},
        {"a-key-of-a-later-bake": 1},
    ],
)
def test_what_a_build_is_told_changes_the_tree(changes: dict[str, Any]) -> None:
    assert hash_tree({**TARGET, **changes}, CONTENTS, "d") != HERE


@pytest.mark.parametrize(
    "contents", [{**CONTENTS, "": "x"}, {**CONTENTS, "lib": "x"}, {**CONTENTS, "other": "x"}]
)
def test_files_change_the_tree(contents: dict[str, str]) -> None:
    assert hash_tree(TARGET, contents, "d") != HERE
    assert hash_tree(TARGET, CONTENTS, "e") != HERE


def test_every_place_is_found() -> None:
    assert find_places(TARGET) == Places({"": "/w/web", "lib": "/w/lib"}, "Dockerfile", {"other": "api"})
    assert find_places({}) == Places({"": "."}, "Dockerfile", {})
    inline = find_places({"context": "/w", "dockerfile-inline": "FROM scratch"})
    assert inline == Places({"": "/w"}, "", {})


@pytest.mark.parametrize(
    "place",
    [
        "https://github.com/acme/shop.git#main",
        "git@github.com:acme/shop.git",
        "github.com/acme/shop",
        "ssh://git@host/x",
        "oci-layout:///w/x",
        "-",
    ],
)
def test_what_is_elsewhere_has_no_tree(place: str) -> None:
    assert find_places({"context": place}) is None
    assert find_places({"context": "/w", "contexts": {"lib": place}}) is None
