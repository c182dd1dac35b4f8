"""The input `env`: lines as they stand, and no value in any message."""

from __future__ import annotations

import pytest

from deployer.ci.github.env_input import given_variables
from deployer.core.errors import ConfigError


def read(text: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("DEPLOYER_INPUT_ENV", text)
    return given_variables()


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("A=1", {"A": "1"}),
        ("A=1\nB=x=y \n\n# no=comment\nC=", {"A": "1", "B": "x=y ", "C": ""}),
        ("A='q' $x \"y\" # z", {"A": "'q' $x \"y\" # z"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("  A = 1", {"A": " 1"}),
        ("KEY<<END\n-----BEGIN X-----\nab==\n-----END X-----\nEND\nB=2",
         {"KEY": "-----BEGIN X-----\nab==\n-----END X-----", "B": "2"}),
        ("KEY<<END\r\n a\r\n\r\n b\r\nEND\r\n", {"KEY": " a\n\n b"}),
        ("A=x<<END", {"A": "x<<END"}),
    ],
)  # fmt: skip
def test_a_value_is_what_stands_behind_the_sign(
    text: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(text, monkeypatch) == variables


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("canary", "line 1: should be NAME=value"),
        ("A=1\ncanary canary==", "line 2: should be NAME=value"),
        ("1A=canary", "line 1: should be NAME=value"),
        ("A=-----BEGIN-----\ncanary+/canary==\n", "line 2: should be"),
        ("A=1\nA=canary", "line 2: A is given twice"),
        ("COMPOSE_FILE=canary", "line 1: COMPOSE_FILE would steer"),
        ("A<<END\ncanary", "line 1: no line END ends the value"),
        ("A=canary\0", "line 1: A should be text"),
    ],
)
def test_what_is_wrong_is_named_by_its_line_and_never_shown(
    text: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\0" in text:  # no environment can hold it
        monkeypatch.setattr("deployer.ci.github.env_input.input_text", lambda _name: text)
    with pytest.raises(ConfigError) as caught:
        read(text.replace("\0", ""), monkeypatch)
    assert why in str(caught.value) and "canary" not in caught.value.diagnostics()
