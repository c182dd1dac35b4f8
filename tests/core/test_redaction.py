from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.redaction import hide_values

SECRET = "Canary5f3a9c71Zq"
FORMS: dict[str, Callable[[str], str]] = {
    "whole": lambda value: f"invalid port {value}",
    "quoted": lambda value: f"invalid port {value!r}",
    "lower": lambda value: f"invalid reference {value.lower()}",
    "upper": lambda value: f"cap_add:{value.upper()}",
    "begun": lambda value: f"invalid hostPort: {value[:9]}...",
    "ended": lambda value: f"...{value[-9:]} is too long",
    "middle": lambda value: f"at {value[4:12]} of the file",
    "in a word": lambda value: f"network shop{value}web not found",
    "in a name": lambda value: f"network shop_{value}_web not found",
    "on lines": lambda value: f"near {value[:8]}\n{value[8:]}",
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 of more": lambda value: base64.b64encode(b"us:" + value.encode() + b"more").decode(),
    "base64 of one more": lambda value: base64.b64encode(b"u" + value.encode()).decode(),
    "hex": lambda value: value.encode().hex(),
}


@pytest.mark.case("X03")
@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_value_stays(form: str) -> None:
    text = FORMS[form](SECRET)
    hidden = hide_values(text, [SECRET])
    assert "[redacted]" in hidden
    assert not any(SECRET[at : at + 6].lower() in hidden.lower() for at in range(len(SECRET) - 5)), hidden


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("4711", "port 4711 of 47110", "port [redacted] of 47110"),
        ("production", "connection refused in production", "connection refused in [redacted]"),
        ("a", "a port", "a port"),
        ("", "a port", "a port"),
        ("x=1;y=2", "got x=1;y=2", "got [redacted]"),
    ],
)
def test_words_stay_readable(value: str, text: str, expected: str) -> None:
    assert hide_values(text, [value]) == expected


@pytest.mark.case("X03")
@given(
    st.from_regex(r"[A-Za-z0-9]{6,40}", fullmatch=True),
    st.text(max_size=20),
    st.text(max_size=20),
    st.sampled_from([str.lower, str.upper, str.swapcase, str]),
)
def test_no_six_characters_of_a_value_are_left(
    value: str, before: str, after: str, changed: Callable[[str], str]
) -> None:
    hidden = hide_values(f"{before}{changed(value)}{after}", [value]).casefold().replace("[redacted]", "\n")
    assert not any(value[at : at + 6].casefold() in hidden for at in range(len(value) - 5))
