"""Server-sent events as the standard reads them."""

from __future__ import annotations

import pytest

from deployer.ci.server.sse import Message, read_messages


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("data: a\n\n", [Message("", "message", "a")]),
        ("id: 1\nevent: pull\ndata: a\n\n", [Message("1", "pull", "a")]),
        ("id:1\r\nevent:pull\r\ndata:a\r\n\r\n", [Message("1", "pull", "a")]),
        ("data: a\ndata: b\n\n", [Message("", "message", "a\nb")]),
        ("data:  two spaces\n\n", [Message("", "message", " two spaces")]),
        ("data\n\n", [Message("", "message", "")]),
        ("data: a: b\n\n", [Message("", "message", "a: b")]),
        (": a comment\n\n:\n\ndata: a\n\n", [Message("", "message", "a")]),
        ("id: 1\ndata: a\n\ndata: b\n\n", [Message("1", "message", "a"), Message("1", "message", "b")]),
        ("event: x\n\ndata: b\n\n", [Message("", "message", "b")]),
        ("id: 1\x00\ndata: b\n\n", [Message("", "message", "b")]),
        ("retry: 5\nother: x\ndata: b\n\n", [Message("", "message", "b")]),
        ("data: cut off\n", []),
        ("data: whole\n\ndata: cut", [Message("", "message", "whole")]),
        ("", []),
    ],
)
def test_a_stream_gives_its_complete_messages(text: str, messages: list[Message]) -> None:
    assert list(read_messages(text.encode().splitlines(keepends=True))) == messages


def test_bytes_that_are_no_text_do_not_end_the_stream() -> None:
    (message,) = read_messages([b"data: \xff\n", b"\n"])
    assert message.data == "\ufffd"


def test_an_endless_message_is_not_kept() -> None:
    lines = [b"data: " + b"x" * 60_000 + b"\n"] * 100
    (message,) = read_messages([*lines, b"\n"])
    assert len(message.data) < 1_100_000


@pytest.mark.parametrize("data", ["", "[]", "{", "1", "[" * 100_000])
def test_data_that_is_no_object_reads_as_an_empty_one(data: str) -> None:
    assert Message("", "end", data).table() == {}
