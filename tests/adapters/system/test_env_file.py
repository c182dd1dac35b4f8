"""The variables file: what is read, and that no error shows a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.system.env_file import open_names, read_variables
from deployer.core.errors import ConfigError
from deployer.core.model import Bundle

SECRET = "canary-5f3a9c71"


def read(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "shop.env"
    path.write_bytes(text.encode())
    path.chmod(0o600)
    return read_variables(str(path))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=one two", "one two"),
        ("A=", ""),
        ("A = spaced  ", "spaced"),
        ("  export A=x", "x"),
        ("export\tA=x", "x"),
        ("A=x=y=z", "x=y=z"),
        ("A=x # why", "x"),
        ("A=x#y", "x#y"),
        ("A=#x", "#x"),
        ("A='x # y' # why", "x # y"),
        ('A="x # y" # why', "x # y"),
        ("A='$HOME \\n \"q\"'", '$HOME \\n "q"'),
        ("A=''", ""),
        ('A=""', ""),
        ('A=" x "', " x "),
        (r'A="a\nb\tc\rd"', "a\nb\tc\rd"),
        (r'A="say \"hi\" for \$5 \\ \q"', r'say "hi" for $5 \ \q'),
        ("A=it's", "it's"),
        ("A=a:$$2y$$x", "a:$2y$x"),
        ("A='a:$2y$x'", "a:$2y$x"),
        ("A=${HOME:-none}", "none"),
        ("A: yes", "yes"),
        ('A="-----BEGIN\nkey=\n-----END"', "-----BEGIN\nkey=\n-----END"),
        ("A='one\n# two'", "one\n# two"),
        ('A={"json": "yes"}', '{"json": "yes"}'),
        ("A=x\u2028y\x0cz", "x\u2028y\x0cz"),
        ("A=grün", "grün"),
    ],
)
def test_a_value(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, f"{line}\n") == {"A": value}


@pytest.mark.parametrize("line", ["x # why", "x#y", "#x", "'x # y' # why", '"x # y" # why', r'"a\nb \"c\""'])
def test_a_value_is_what_compose_itself_would_read(tmp_path: Path, line: str) -> None:
    ours = read(tmp_path, f"A={line}\n")
    model = "services:\n  x:\n    image: x\n    env_file: theirs.env\n"
    bundle = Bundle("compose.yaml", {"compose.yaml": model, "theirs.env": f"A={line}\n"})
    assert Compose(tmp_path).renderer.render("shop", bundle, {})["services"]["x"]["environment"] == ours


def test_v3_a_value_may_name_variables_of_the_request_of_earlier_lines_and_of_the_repository(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shop.env"
    path.write_text("B=own\nURL=pg://${A}:${B}@${C}\n")
    path.chmod(0o600)
    found = read_variables(str(path), {"A": "asked", "B": "asked"}, {"B": "below", "C": "below"})
    assert found == {"B": "own", "URL": "pg://asked:asked@below"}
    assert open_names(str(path)) == {"A": 2, "C": 2} and open_names("") == {}
    with pytest.raises(ConfigError, match=r"shop\.env:2: names the variable A, which has no value") as wrong:
        read_variables(str(path))
    assert "$$" in wrong.value.hint


def test_lines_end_in_any_way_and_the_last_of_a_name_counts(tmp_path: Path) -> None:
    text = "\ufeff# the shop's\r\n\r\nA=1\r\n  # indented\nB='2'\r\nA=3"
    assert read(tmp_path, text) == {"A": "3", "B": "2"}


def test_no_file_named_means_no_variables() -> None:
    assert read_variables("") == {}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (SECRET, "should be NAME=value"),
        (f"A-B={SECRET}", "should be NAME=value"),
        (f"1A={SECRET}", "should be NAME=value"),
        (f"={SECRET}", "should be NAME=value"),
        (f'A="{SECRET}', "end with its quote"),
        (f"A='{SECRET}", "end with its quote"),
        (f'A="{SECRET}\\"', "end with its quote"),
        (f"A='{SECRET}' more", "end with its quote"),
        (f"A='it''{SECRET}'", "end with its quote"),
        (f"A={SECRET}${{", "begins no variable"),
        (f"A={SECRET}${{B", "begins no variable"),
        (f"A={SECRET}${{B:-", "not closed"),
        (f"A=${{B:-{SECRET}{{}}}}", "versions of Compose"),
        (f"A=${{B:?{SECRET}}}", "requires B"),
        (f"A={SECRET}$ab", "names the variable ab"),
    ],
)
def test_a_wrong_line_is_named_and_its_value_is_not(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=rf"shop\.env:3: .*{says}") as wrong:
        read(tmp_path, f"# first\r\nGOOD=1\r\n{line}\r\nA=2\r\n")
    assert SECRET not in wrong.value.diagnostics()


@pytest.mark.parametrize("name", ["missing.env", "folder", "bytes.env", "zero\0byte"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes.env").write_bytes(b"A=\xff")
    with pytest.raises(ConfigError, match=r"variables-file: .* cannot be read"):
        read_variables(str(tmp_path / name))
