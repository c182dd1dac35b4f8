"""Files of variables: read as Compose reads them, in written cases and side by side with the real one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from deployer.core.variables.dotenv import NotDotenv, read_dotenv

NAMES = ("A", "B", "C")
PIECES: tuple[str, ...] = (
    "a",
    "1",
    " ",
    " #",
    "#",
    "'",
    '"',
    "\\",
    "\\n",
    "\\$",
    "\\0101",
    "\\q",
    "\\'",
    '\\"',
    "\n",
    "\t",
)
PIECES += (
    "$",
    "$$",
    "$2y",
    "$A",
    "${A}",
    "${B:-x}",
    "${B-x$A}",
    "${C:+y}",
    "${C?}",
    "${A:-${B}}",
    "${",
    "=",
    "é",
)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("A=1\nB=$A\n", {"A": "1", "B": "1"}),
        ("A=1\r\nB='x\r\ny'\r\n", {"A": "1", "B": "x\r\ny"}),
        ("\ufeffexport A = 1 # why\n  # B=2\n", {"A": "1"}),
        ('A="\\01011"', {"A": "A1"}),
        ('A="\\a\\b\\f\\v\\0101\\0777\\0000\\c"', {"A": "\a\b\f\vA\\0777\\0000\\c"}),
        (r"""A='it\'s'""", {"A": "it's"}),
        ("OVER\nNOBODY\nA", {"OVER": "given"}),
        ("A=$OVER$UNDER", {"A": "givenbelow"}),
        ("OVER=mine\nA=$OVER", {"OVER": "mine", "A": "given"}),
        ("UNDER=mine\nA=$UNDER", {"UNDER": "mine", "A": "mine"}),
        ('A=\'x\'# why\nB=""#"', {"A": "x", "B": ""}),
        ("", {}),
        ("# only", {}),
    ],
)
def test_a_file_is_read_as_compose_reads_it(text: str, variables: dict[str, str]) -> None:
    assert read_dotenv(text, {"OVER": "given"}, {"UNDER": "below"}).variables == variables


def test_names_alone_and_names_without_a_value_are_told_with_their_lines() -> None:
    found = read_dotenv("A\n\nB='x\ny'\nC=$N\nA=${N}\n")
    assert (found.bare, found.missing) == ({"A": 1}, {"N": 6})
    assert found.lines == {"A": 6, "B": 3, "C": 5}


@pytest.mark.parametrize(
    "text", ["A=1\n=x", "A=1\nB C=x", "A=1\nB='x", "A=1\nB='x' y", "A=1\nB=${", "A=1\n!"]
)
def test_a_line_that_compose_refuses_is_named(text: str) -> None:
    with pytest.raises(NotDotenv) as wrong:
        read_dotenv(text)
    assert wrong.value.line == 2


def lines_of(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    pieces = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
    values = st.one_of(
        pieces.map(lambda text: text.replace("\n", "")),
        pieces.map(lambda text: f'"{text}"'),
        pieces.map(lambda text: f"'{text}'"),
        pieces.map(lambda text: f'"{text}" # why'),
    )
    begin = st.sampled_from(("", "", "export ", "  "))
    sign = st.sampled_from(("=", "=", ": ", " = "))
    name = st.sampled_from(names)
    variable = st.builds(lambda *parts: "".join(parts) + "\n", begin, name, sign, values)
    return st.one_of(
        variable, variable, name.map(lambda text: f"{text}\n"), st.just("# it's\n"), st.just("\n")
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dotenv")
    (made / "compose.yaml").write_text(f"services: {{x: {{image: x, environment: [{', '.join(NAMES)}]}}}}\n")
    return made


def composes(folder: Path, text: str, environment: dict[str, str]) -> dict[str, str] | None:
    """The variables that the real Compose reads; None if it refuses the file."""
    (folder / "x.env").write_bytes(text.encode())
    argv = ["docker", "compose", "--env-file", "x.env", "-f", "compose.yaml", "config", "--format", "json"]
    around = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        argv, check=False, cwd=folder, capture_output=True, text=True, env=around | environment
    )
    if done.returncode:
        return None
    found: dict[str, str | None] = json.loads(done.stdout)["services"]["x"]["environment"]
    return {name: value.replace("$$", "$") for name, value in found.items() if value is not None}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    text=st.lists(lines_of(NAMES), max_size=4).map("".join),
    environment=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("", "v")), max_size=1),
)
def test_v3_any_file_means_to_us_what_it_means_to_compose(
    folder: Path, text: str, environment: dict[str, str]
) -> None:
    theirs = composes(folder, text, environment)
    try:
        ours = read_dotenv(text, environment).variables | environment
    except NotDotenv as refused:  # Compose takes what follows a closing quote for the next name
        event("we refuse it")
        assert theirs is None or "should follow" in str(refused)
    else:
        event("we read it")
        assert ours == theirs
