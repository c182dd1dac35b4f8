"""The words of the code: identifiers and docstrings that a newcomer of the field understands."""

from __future__ import annotations

import ast
import collections
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.docker.docker_cli import ROOT

# Words that named a thing of this project only, or several things.
BANNED = frozenset(
    {
        *("asleep", "corridor", "door", "doors", "errand", "errands", "forge", "heir", "intake", "keyring"),
        *("knock", "knocker", "outlook", "settle", "settling", "stray", "tally", "vault", "wish", "wishes"),
        "world",
    }
)
# Names that stand in a database, on a container or in a file that exists already.
KEPT = frozenset({"forge_id", "remember_forge_id", "HEIR_LABEL"})
MOST_FILES, MOST_LINES_OF_CLASS, MOST_METHODS = 20, 150, 8
# Files of one name: two sides of the same thing.
TWO_SIDES = frozenset(
    {
        *(
            "__init__.py",
            "__main__.py",
            "clock.py",
            "confirmation.py",
            "delegated_tasks.py",
        ),
        *("deploy.py", "deploy_hooks.py", "deploy_request.py", "deployments.py", "journal.py", "plan.py"),
        "store.py",
    }
)
MOST_PRONOUNS = 2.0  # in 1,000 words of docstrings
_PRONOUN = re.compile(
    r"\b(?:who|whoever|whom|what|whatever|nobody|somebody|anybody|everybody)\b", re.IGNORECASE
)
_RIDDLE = re.compile(
    r"(?:What|Who|Whoever|Whose|Whether|Those|They|Nobody|Somebody|How|Of|Between|Where|From|Its|One(?!-))\b"
)


def code() -> list[Path]:
    return sorted((ROOT / "deployer").rglob("*.py"))


def docstrings() -> Iterator[tuple[str, str]]:
    """Where each docstring stands, and its text."""
    for path in code():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if text := ast.get_docstring(node):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", text


def is_riddle(text: str) -> bool:
    """True if the first sentence has no noun of the field as its subject, as far as its first word shows."""
    return _RIDDLE.match(text) is not None


def test_no_identifier_is_a_banned_word() -> None:
    found = collections.Counter[str]()
    for path in code():
        reader = io.StringIO(path.read_text(encoding="utf-8")).readline
        for token in tokenize.generate_tokens(reader):
            parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", token.string) if token.type == tokenize.NAME else ()
            if token.string not in KEPT and any(part.lower() in BANNED for part in parts):
                found[f"{path.relative_to(ROOT)}: {token.string}"] += 1
    assert found == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("One engine's.", "Moves host ports between containers of one Docker engine."),
        ("Those of one deployment; `hide` takes values out.", "Runs one deployment's hooks."),
        (
            "Whether nobody else's containers are among the project's.",
            "True if the project contains no foreign container.",
        ),
        ("What the new release has replaced.", "Stops and removes superseded replicas."),
        ("They are stopped and stay, for the way back.", "Stops the old replicas without removing them."),
        ("How often something came from one place lately.", "Fixed-window rate limiter."),
        ("Between deploys: what runs is served.", "Maintenance between deploys: repairs proxy routes."),
        ("Of a deployment that never waited: one whose time is over.", "Returns an expired confirmation."),
    ],
)
def test_a_docstring_that_is_a_riddle_is_told_from_one_that_is_not(before: str, after: str) -> None:
    assert is_riddle(before) and not is_riddle(after)


def test_no_docstring_is_a_riddle() -> None:
    found = [f"{where} {text.splitlines()[0]}" for where, text in docstrings() if is_riddle(text)]
    assert found == []


def test_docstrings_name_their_subjects() -> None:
    texts = [text for _, text in docstrings()]
    words = sum(len(re.findall(r"\w+", text)) for text in texts)
    pronouns = sum(len(_PRONOUN.findall(text)) for text in texts)
    assert len(texts) > 1_000 and 1_000 * pronouns / words <= MOST_PRONOUNS


def test_no_folder_is_crowded() -> None:
    folders = collections.Counter(
        str(path.parent.relative_to(ROOT))
        for name in ("deployer", "tests", "testing", "bench")
        for path in (ROOT / name).rglob("*.py")
    )
    assert {folder: count for folder, count in folders.items() if count > MOST_FILES} == {}


def test_a_file_name_stands_for_one_thing() -> None:
    names = collections.Counter(path.name for path in code())
    assert {name for name, count in names.items() if count > 1} == TWO_SIDES


def _classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """File and name of each class; several files have a class of one name."""
    for path in code():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield f"{path.relative_to(ROOT)}: {node.name}", node


def test_no_class_is_longer_than_three_screens() -> None:
    sizes = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in _classes()}
    assert len(sizes) > 250
    assert {name: size for name, size in sizes.items() if size > MOST_LINES_OF_CLASS} == {}


def test_no_interface_has_more_than_eight_methods() -> None:
    protocols = {name: node for name, node in _classes() if "Protocol" in _bases(node)}
    own = {
        node.name: sum(isinstance(part, ast.FunctionDef) for part in node.body) for node in protocols.values()
    }
    methods = {
        name: own[node.name] + sum(own.get(base, 0) for base in _bases(node))
        for name, node in protocols.items()
    }
    assert len(methods) > 30
    assert {name: count for name, count in methods.items() if count > MOST_METHODS} == {}


def _is_method(part: ast.stmt) -> bool:
    return isinstance(part, ast.FunctionDef)


def _bases(node: ast.ClassDef) -> list[str]:
    return [base.id for base in node.bases if isinstance(base, ast.Name)]
