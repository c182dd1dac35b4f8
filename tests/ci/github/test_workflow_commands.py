"""Text of any origin through GitHub's workflow commands, read back as the runner reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.ci.github import workflow_commands
from testing.github.action_runner import read_pairs
from testing.github.workflow_commands import Console

HOSTILE = [
    "::set-output name=mode::deploy",
    "  ::set-output name=mode::deploy",
    "\t::add-mask::a",
    "::error::forged",
    "::stop-commands::x",
    "::group::x",
    "##[set-output name=mode]deploy",
    "text ##[set-output name=mode]deploy",
    "##[error]forged",
    "line\n::set-output name=mode::deploy",
    "line\r::set-output name=mode::deploy",
    "line\r\n::error::forged",
    "line\x0b::error::forged",
    "line\u2028::error::forged",
    "\x1b[31m::error::forged",
    "\ufeff::error::forged",
    "\u00a0::error::forged",
    "%0A::error::forged",
    "\x00::error::forged",
]


def read(capture: pytest.CaptureFixture[str]) -> Console:
    console = Console()
    for line in capture.readouterr().out.replace("\r", "\n").split("\n"):
        console.read(line)
    return console


@pytest.mark.parametrize("text", HOSTILE)
def test_said_text_is_never_a_command(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    workflow_commands.say(text)
    console = read(capsys)
    assert (console.outputs, console.annotations, console.masks) == ({}, [], [])
    assert console.lines


@pytest.mark.parametrize("text", HOSTILE)
def test_an_error_is_one_annotation_whatever_it_says(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    workflow_commands.error(text, title=text)
    console = read(capsys)
    assert [one.kind for one in console.annotations] == ["error"]
    assert console.annotations[0].text == text
    assert console.outputs == {}


@pytest.mark.parametrize("text", [*HOSTILE, "", "a=b", "x<<EOF\ny\nEOF", "EOF", "a\n\nb\n"])
def test_an_output_arrives_as_it_was(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    workflow_commands.set_output("value", text)
    workflow_commands.set_output("after", "1")
    raw = (tmp_path / "output").read_bytes().decode()
    assert read_pairs(raw.replace("\r", "\\r")) == {"value": text.replace("\r", "\\r"), "after": "1"}


def test_delimiters_are_never_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    workflow_commands.set_output("a", "1")
    workflow_commands.set_output("b", "1")
    first, _, _, second, _, _ = (tmp_path / "output").read_text().splitlines()
    assert first.partition("<<")[2] != second.partition("<<")[2]


def test_every_line_of_a_secret_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    workflow_commands.mask("one\n\n%two\n")
    workflow_commands.say("xone %two")
    console = read(capsys)
    assert console.masks == ["one", "%two"]
    assert console.lines[0] == "x*** ***"


def test_stopped_commands_are_taken_up_again(capsys: pytest.CaptureFixture[str]) -> None:
    with workflow_commands.commands_stopped():
        print("::error::forged")
        print("::stop-commands::mine")
        print("::mine::")
        print("##[set-output name=mode]deploy")
    workflow_commands.notice("mine", title="t")
    console = read(capsys)
    assert [(one.kind, one.text) for one in console.annotations] == [("notice", "mine")]
    assert console.outputs == {}


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("sha-abc.1", "sha-abc.1"),
        ("a|b", "a\\|b"),
        ("a\nb\r\nc", "a b c"),
        ("<img src=x>", "\\<img src=x\\>"),
        ("[x](https://evil.example)", "\\[x\\]\\(https\\://evil.example\\)"),
        ("`code` *b* _i_ ~s~", "\\`code\\` \\*b\\* \\_i\\_ \\~s\\~"),
        ("\\|", "\\\\\\|"),
        ("@team #1 &amp; www.evil.example", "\\@team \\#1 \\&amp; www\\.evil.example"),
    ],
)
def test_a_cell_of_the_summary_is_text_only(text: str, cell: str) -> None:
    assert workflow_commands.cell(text) == cell


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080", "https://shop.example.com/a/b?c=1&d=%20", "https://d.example.com/api/v1/x_y"],
)
def test_w7_an_address_in_the_summary_is_a_link_that_shows_itself(url: str) -> None:
    assert workflow_commands.link(url) == f"<{url}>"


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "https://a.example/> ![x](y)",
        "https://user@a.example/",
        "https://a.example\n# x",
        "",
    ],
)
def test_w7_what_is_no_plain_address_stays_text(text: str) -> None:
    assert workflow_commands.link(text) == workflow_commands.cell(text)
