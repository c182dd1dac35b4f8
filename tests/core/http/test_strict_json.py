"""JSON from strangers: what is valid arrives unchanged, everything else is refused and nothing breaks."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.errors import PayloadRejected
from deployer.core.http.strict_json import MAX_DEPTH, parse_object

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=6), st.booleans())
def test_every_plain_value_arrives_as_it_was_sent(body: dict[str, Any], ascii_only: bool) -> None:
    assert parse_object(json.dumps(body, ensure_ascii=ascii_only).encode()) == body


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    with contextlib.suppress(PayloadRejected):
        assert isinstance(parse_object(raw), dict)


@pytest.mark.case("C02", "C14")
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{}x",
        b"{'a': 1}",
        b'{"a": 01}',
        b"\xff\xfe{}",
        '{"a": "ü"}'.encode("latin-1"),
        "\ufeff{}".encode(),
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_what_is_not_json_in_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(PayloadRejected, match="not valid JSON"):
        parse_object(raw)


@pytest.mark.case("C12")
@pytest.mark.parametrize("raw", [b"[]", b'"a"', b"1", b"null", b"true"])
def test_only_an_object_is_a_body(raw: bytes) -> None:
    with pytest.raises(PayloadRejected, match="must be a JSON object"):
        parse_object(raw)


@pytest.mark.case("C08")
@pytest.mark.parametrize("raw", [b'{"a": 1, "a": 1}', b'{"x": [{"b": 1, "\\u0062": 2}]}'])
def test_a_key_that_comes_twice_is_refused_at_any_depth(raw: bytes) -> None:
    with pytest.raises(PayloadRejected, match="same key twice"):
        parse_object(raw)


@pytest.mark.case("C07")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_not_finite_is_refused(number: str) -> None:
    with pytest.raises(PayloadRejected, match="not finite"):
        parse_object(f'{{"a": {number}}}'.encode())


@pytest.mark.case("C06")
@pytest.mark.parametrize("number", [str(2**63), str(-(2**63)), "9" * 21, "1" * 100_000])
def test_a_number_outside_64_bits_is_refused_without_reading_its_digits(number: str) -> None:
    with pytest.raises(PayloadRejected, match="64 bits"):
        parse_object(f'{{"a": [{number}]}}'.encode())


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63) + 1, 0])
def test_a_number_inside_64_bits_is_kept(number: int) -> None:
    assert parse_object(json.dumps({"a": number}).encode()) == {"a": number}


@pytest.mark.case("C05")
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_limited_also_where_python_itself_gives_up(opening: str, closing: str) -> None:
    def nested(depth: int) -> bytes:
        return f'{{"a": {opening * depth}1{closing * depth}}}'.encode()

    assert parse_object(nested(MAX_DEPTH - 1))
    for depth in (MAX_DEPTH, 500, 100_000):
        with pytest.raises(PayloadRejected, match="nested too deeply"):
            parse_object(nested(depth))


@pytest.mark.case("C09", "C10")
@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udfff", "a\\udc80b"])
def test_text_that_a_database_or_a_command_cannot_carry_is_refused(text: str) -> None:
    for body in (f'{{"a": "{text}"}}', f'{{"{text}": 1}}', f'{{"a": [{{"b": "{text}"}}]}}'):
        with pytest.raises(PayloadRejected, match="NUL or half a surrogate pair"):
            parse_object(body.encode())


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse_object(b'{"a": "\\ud83d\\ude80"}') == {"a": "🚀"}
