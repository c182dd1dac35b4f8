"""The page of attack cases and the tests that cover them. In: the `case` marks of all tests. Out:
docs/reference/security-cases.md.

A test carries `@pytest.mark.case("A01", "A02")`; `script/security-cases` writes the page, and
tests/test_security_cases.py fails if a case has no test or the page is old. Marks are read from the source,
so that tests that need an engine count without one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from testing.docker.docker_cli import ROOT
from testing.security.attack_cases import CASES, GROUPS

PAGE = ROOT / "docs" / "reference" / "security-cases.md"
REQUIRED = tuple(GROUPS)  # groups in which every case must have a test
_COLUMNS = "| case | what arrives or happens | what comes of it | tests |\n|---|---|---|---|\n"
_HEAD = """# Security cases

What may arrive at the receiver or happen around it, what must come of it, and the tests that show it.
This page is written by `script/security-cases` from the marks of the tests (`@pytest.mark.case("A01")`);
`tests/test_security_cases.py` fails while a case has no test or this page is old. No case may end in a 5xx
but 503, which says that nothing was accepted and when to come again.
"""


def marks(path: Path) -> Iterator[tuple[str, str]]:
    """Yields case and test function of each mark in one file; a mark within `parametrize` counts for its
    test.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for decorator in node.decorator_list:
                yield from ((case, node.name) for case in _cases(decorator))


@cache
def shown_by() -> dict[str, list[tuple[str, str]]]:
    """Returns case → its tests as (file below the root, function), in the order of the files."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for case, test in marks(path):
            entry = (str(path.relative_to(ROOT)), test)
            if entry not in found.setdefault(case, []):
                found[case].append(entry)
    return found


def page() -> str:
    """Returns the whole page."""
    found = shown_by()
    return _HEAD + "".join(_group(letter, title, found) for letter, title in GROUPS.items())


def _group(letter: str, title: str, found: dict[str, list[tuple[str, str]]]) -> str:
    rows = [
        f"| {case} | {what} | {expected} | {_links(found.get(case, []))} |\n"
        for case, (what, expected) in sorted(CASES.items())
        if case.startswith(letter)
    ]
    return f"\n## {title}\n\n{_COLUMNS}{''.join(rows)}" if rows else ""


def _links(tests: list[tuple[str, str]]) -> str:
    return "<br>".join(f"[{_words(test)}](../../{file})" for file, test in tests)


def _words(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")


def _cases(decorator: ast.expr) -> Iterator[str]:
    for node in ast.walk(decorator):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func) == "pytest.mark.case"
        ):
            yield from (str(ast.literal_eval(argument)) for argument in node.args)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
