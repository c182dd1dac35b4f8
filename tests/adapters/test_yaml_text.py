"""YAML from a repository: what would unfold is refused before it does, and nothing hides what Compose
reads.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.adapters.compose import Compose
from deployer.adapters.yaml_text import parse_written
from deployer.core.errors import ComposeRejected
from deployer.core.model import Bundle
from tests.stand.machine import ROOT


def laughs(opening: str, closing: str, levels: int = 40) -> str:
    """Each level has the one before nine times."""
    lines = [f"l0: &l0 {opening}a{closing}" if opening == "[" else "l0: &l0 {k: v}"]
    for level in range(1, levels):
        inner = ", ".join([f"*l{level - 1}"] * 9)
        lines.append(f"l{level}: &l{level} {opening}{inner}{closing}")
    return "\n".join(lines) + "\n"


LISTS = laughs("[", "]")
MERGES = laughs("{<<: [", "]}")
BOMBS = {
    "lists": LISTS,
    "merges": MERGES,
    "include": f"{LISTS}include: *l39\n",
    "env_file": f"{LISTS}services: {{web: {{env_file: *l39}}}}\n",
    "itself": "a: &a [*a, *a]\ninclude: *a\n",
    "deep lists": "a: " + "[" * 500_000,
    "deep tables": "{a: " * 100_000,
    "deep blocks": "".join(" " * depth + "- \n" for depth in range(900)),
    "deep by alias": "".join(f"l{n}: &l{n} [*l{n - 1}]\n" if n else "l0: &l0 [a]\n" for n in range(200)),
    "a wide one often": "a: &a [" + "x, " * 5_000 + "x]\nb: [" + "*a, " * 500 + "*a]\n",
}


@pytest.mark.case("D09")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_a_second_and_in_little_memory(name: str, tmp_path: Path) -> None:
    script = (
        "import resource, sys, time\n"
        "from deployer.adapters.yaml_text import parse_written\n"
        "from deployer.core.errors import ComposeRejected\n"
        "text = sys.stdin.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "begun = time.process_time()\n"
        "try:\n"
        "    found = parse_written(text)\n"
        "except ComposeRejected:\n"
        "    found = None\n"
        "took = time.process_time() - begun\n"
        "grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024\n"
        "assert not found, found\n"
        "assert took < 1 and grown < 64, (took, grown)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=BOMBS[name],
        check=False,
        text=True,
        cwd=ROOT,
        capture_output=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.case("D09")
def test_the_file_of_a_bomb_is_named_and_compose_is_not_asked(tmp_path: Path) -> None:
    files = {"compose.yaml": "include: [more.txt]\n", "more.txt": f"{LISTS}include: *l39\n"}
    with pytest.raises(ComposeRejected, match=r"^more\.txt: unfolds"):
        Compose(tmp_path).render("p", Bundle("compose.yaml", files), {})


@pytest.mark.case("D09")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: !!python/object/apply:os.system [id]", [{"a": ["id"]}]),
        ("a: !!int x\nb: 2001-99-99\nc: !!timestamp y", [{"a": "x", "b": "2001-99-99", "c": "y"}]),
        ("a: !reset null\nb: !override {c: d}", [{"a": "null", "b": {"c": "d"}}]),
        ("a: 1\n---\nb: ~\n", [{"a": "1"}, {"b": None}]),
        ("x: &x {a: 1}\ny: {<<: *x, b: 2}", [{"x": {"a": "1"}, "y": {"a": "1", "b": "2"}}]),
        ("#!/bin/sh\nexec nginx -g 'daemon off;' {", ["exec nginx -g 'daemon off;' {"]),
        ("events { }\nhttp { include /etc/nginx/mime.types; log_format x '$a: $b'; }\n", []),
        ("", []),
    ],
)
def test_tags_and_odd_values_are_plain_text(text: str, expected: list[Any]) -> None:
    assert parse_written(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {env_file: /etc/deployer/config.toml}}\n\tbad: tab",
        "? [a]\n: b\nservices: {web: {env_file: /etc/passwd}}",
        "a: {<<: 1}\nservices: {web: {env_file: /etc/passwd}}",
    ],
)
def test_what_compose_might_read_and_we_cannot_is_refused(text: str) -> None:
    with pytest.raises(ComposeRejected):
        parse_written(text)


@pytest.mark.parametrize(
    "text",
    [
        "services: {}\n---\nservices: {web: {image: x, env_file: /etc/passwd}}\n",
        "x-date: 2001-99-99\nservices: {web: {image: x, env_file: /etc/passwd}}\n",
        "x-number: !!float many\nservices: {web: {image: x, env_file: /etc/passwd}}\n",
        "x: &x {env_file: /etc/passwd}\nservices: {web: {<<: *x, image: x}}\n",
    ],
    ids=["second document", "no date", "no number", "merged"],
)
def test_nothing_hides_a_file_of_the_server(tmp_path: Path, text: str) -> None:
    with pytest.raises(ComposeRejected, match="outside the repository"):
        Compose(tmp_path).render("p", Bundle("compose.yaml", {"compose.yaml": text}), {})


def test_anchors_as_people_use_them_are_fine() -> None:
    common = "x-common: &common\n  restart: always\n  environment: &env {A: 1, B: 2}\n"
    services = "".join(f"  s{n}: {{<<: *common, environment: {{<<: *env, N: {n}}}}}\n" for n in range(100))
    (document,) = parse_written(f"{common}services:\n{services}")
    assert document["services"]["s99"]["environment"] == {"A": "1", "B": "2", "N": "99"}


@given(st.text(max_size=300) | st.text("&*[]{}-: \nab<!", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ComposeRejected):
        assert isinstance(parse_written(text), list)
