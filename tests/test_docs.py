"""The docs for contributors: the index is complete, decisions have one form, named files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testing.docker.docker_cli import ROOT

DESIGN = ROOT / "docs/design"
PARTS = ["Problem", "Decision", "Consequence", "Evidence"]
SUBJECTS = ["compose", "edge", "rollout", "releases", "images", "server", "security"]
MOST_LINES = 150
_MODULE = re.compile(r"(?<![\w/.])((?:[\w-]+/)+[\w-]+\.py)\b")


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def sections(page: Path) -> dict[str, str]:
    """The text under each heading of the second level."""
    parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {title: text for title, _, text in (part.partition("\n") for part in parts)}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_decision_has_problem_decision_consequence_and_evidence(subject: str) -> None:
    found = {
        title: re.findall(r"^\*\*(\w+)\.\*\* \S", text, re.MULTILINE)
        for title, text in sections(DESIGN / f"{subject}.md").items()
    }
    assert len(found) >= 5
    assert {title: parts for title, parts in found.items() if parts != PARTS} == {}


def test_the_index_lists_every_page_and_every_decision() -> None:
    index = (DESIGN / "README.md").read_text(encoding="utf-8")
    names = [page.name for page in sorted(DESIGN.glob("*.md")) if page.name != "README.md"]
    titles = [title for subject in SUBJECTS for title in sections(DESIGN / f"{subject}.md")]
    assert [name for name in names if f"]({name})" not in index] == []
    assert [title for title in titles if f"- [{title}](" not in index] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_module_that_a_page_names_exists(page: Path) -> None:
    named = set(_MODULE.findall(page.read_text(encoding="utf-8")))
    assert [
        name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "deployer"))
    ] == []


def test_the_architecture_is_read_in_one_sitting() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert text.count("```mermaid\n") == 3


def test_every_package_stands_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = text.partition("## Packages")[2].partition("\n## ")[0]
    packages = {path.parent for path in (ROOT / "deployer").rglob("__init__.py")} - {ROOT / "deployer"}
    assert len(packages) > 30
    assert [str(path) for path in packages if not re.search(rf"\b{path.name}\b", tree)] == []
