"""The rules of CONTRIBUTING.md that no linter knows: sizes, docstrings, links, words."""

from __future__ import annotations

import argparse
import ast
import html
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.cli.parser import command
from testing.docker.docker_cli import ROOT

MOST_LINES = 350
LONGEST, MEDIAN, NINETIETH = 50, 8, 25
_FOLDERS = ("deployer", "script", "testing", "bench")
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:href|src)=\"([^\"]+)\"")
_CHECKOUT = re.compile(
    r"/(?:home|Users)/(?!runner\b)[a-z][\w.-]*/|/root/(?!\.docker\b)\w|/(?:work|workspace|shared)/\w"
    r"|/tmp/(?!dpl-|deployer-)\w[\w.-]*/"
)


def tracked(*patterns: str) -> list[Path]:
    """The project's own files: what git keeps, and what is new and not ignored."""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run([*command, *patterns], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def python_files() -> list[Path]:
    return tracked(*(f"{folder}/**.py" for folder in _FOLDERS), ":(glob)*.py")


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length of each function, without its docstring, its decorators and what stands in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", _lines(node)


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    told = node.body[0] if ast.get_docstring(node) is not None else None
    docstring = told.end_lineno - told.lineno + 1 if told and told.end_lineno else 0
    assert node.end_lineno
    return node.end_lineno - node.lineno + 1 - docstring


def test_functions_are_short() -> None:
    sizes = dict(size for path in tracked("deployer/**.py") for size in functions(path))
    assert len(sizes) > 500
    assert {name: size for name, size in sizes.items() if size > LONGEST} == {}
    assert statistics.median(sizes.values()) <= MEDIAN
    assert statistics.quantiles(sizes.values(), n=10)[-1] <= NINETIETH


def test_no_function_of_the_stand_is_long() -> None:
    sizes = dict(size for path in tracked("testing/**.py", "bench/**.py") for size in functions(path))
    assert len(sizes) > 200
    assert {name: size for name, size in sizes.items() if size > LONGEST} == {}


def test_files_are_short() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files()}
    assert len(sizes) > 80
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    modules = tracked("deployer/**.py")
    silent = [
        str(path.relative_to(ROOT))
        for path in modules
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert len(modules) > 60 and silent == []


def pages() -> list[Path]:
    return tracked("*.md")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in ("".join(found) for found in _LINK.findall(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(path), f"{target} has no such heading"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", html.unescape(title).lower()).replace(" ", "-") for title in titles}


def verbs(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    """`status`, `token create`, …: every verb that the command has."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                below = list(verbs(child, f"{before}{name} "))
                yield from below or [f"{before}{name}"]


def test_the_readme_names_verbs_that_the_command_has() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `deployer ([^`]+)` \|", text, re.MULTILINE)
    known = set(verbs(command()))
    assert len(named) >= 6 and len(known) >= 10
    assert [line for line in named if not any(f"{line} ".startswith(f"{verb} ") for verb in known)] == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    texts = {path: path.read_bytes().decode("utf-8", "replace") for path in tracked()}
    found = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path, text in texts.items()
        for hit in _CHECKOUT.finditer(text)
    ]
    assert len(texts) > 150 and found == []


@pytest.mark.parametrize(
    ("text", "is_place"),
    [
        ("see ~home~ada~deployer~x", True),  # with ~ for /, or this file would be a hit
        ("cd ~Users~ada~x", True),
        ("~root~deployer", True),
        ("~work~main~x.py", True),
        ("~tmp~checkout~x.py", True),
        ("~var~lib~deployer", False),
        ("--tmpfs ~tmp --cap-drop", False),
        ("https:~~x.org~homepage~ada", False),
    ],
)
def test_what_a_place_on_somebodys_machine_is(text: str, is_place: bool) -> None:
    assert bool(_CHECKOUT.search(text.replace("~", "/"))) == is_place
