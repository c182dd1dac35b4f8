"""Deliveries: what is signed, what is readable, and that nothing else gets through."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core.errors import PayloadRejected, SignatureMismatch
from deployer.core.webhooks.delivery import (
    ContentTypeRejected,
    Delivery,
    WorkflowRun,
    parse_delivery,
    ping_of,
    verify,
    workflow_run_of,
)
from testing.receiver.receiver_inputs import PAYLOADS, SECRET, body_of, fixture, headers_of, run_payload, sign

ALL = sorted(str(path.relative_to(PAYLOADS)).removesuffix(".json") for path in PAYLOADS.rglob("*.json"))
HEX = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def delivery_of(payload: dict[str, Any], event: str = "workflow_run") -> Delivery:
    return parse_delivery(headers_of(event), body_of(payload))


@pytest.mark.case("A15")
def test_the_vector_that_github_publishes_is_accepted() -> None:
    assert verify(b"Hello, World!", f"sha256={HEX}", [b"It's a Secret to Everybody"]) == {0}


@pytest.mark.case("C01")
@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_every_example_of_github_is_verified_and_read_in_both_content_types(name: str, form: bool) -> None:
    raw = (PAYLOADS / f"{name}.json").read_bytes()
    if form:
        raw = b"payload=" + quote(raw, safe="").encode()
    assert verify(raw, sign(raw), [SECRET]) == {0}
    event = name.partition("/")[0]
    delivery = parse_delivery(headers_of(event, form=form), raw)
    assert delivery.payload == fixture(name)
    assert delivery.body_sha256 == hashlib.sha256(raw).hexdigest()
    assert delivery.event == event


@pytest.mark.case("A01", "A02", "A04", "A05", "A06", "A07", "A08")
@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        HEX,
        f"sha1={HEX[:40]}",
        f"SHA256={HEX}",
        f"sha256={HEX.upper()}",
        f"sha256=sha256={HEX}",
        f"sha256={HEX[:-1]}",
        f"sha256={HEX}0",
        f"sha256={HEX}\n",
        f" sha256={HEX}",
        f"sha256={HEX}, sha256={HEX}",
        f"sha256={HEX[:-1]}٣",
        "sha256=" + "é" * 64,
        "sha256=" + "0" * 64,
    ],
)
def test_a_signature_in_any_other_form_is_a_mismatch_and_no_crash(signature: str | None) -> None:
    with pytest.raises(SignatureMismatch):
        verify(b"Hello, World!", signature, [b"It's a Secret to Everybody"])


@pytest.mark.case("A01")
@pytest.mark.parametrize("at", range(64))
def test_every_digit_of_the_signature_counts(at: int) -> None:
    changed = HEX[:at] + ("0" if HEX[at] != "0" else "1") + HEX[at + 1 :]
    with pytest.raises(SignatureMismatch):
        verify(b"Hello, World!", f"sha256={changed}", [b"It's a Secret to Everybody"])


@pytest.mark.case("A12")
def test_while_a_secret_is_replaced_the_old_and_the_new_are_accepted_and_no_third() -> None:
    secrets = [b"new", b"old"]
    assert verify(b"x", sign(b"x", b"new"), secrets) == {0}
    assert verify(b"x", sign(b"x", b"old"), secrets) == {1}
    with pytest.raises(SignatureMismatch):
        verify(b"x", sign(b"x", b"third"), secrets)


@pytest.mark.case("A11")
def test_without_a_configured_secret_nothing_is_accepted() -> None:
    with pytest.raises(SignatureMismatch):
        verify(b"x", sign(b"x", b""), [])


@given(st.binary(min_size=1, max_size=200), st.data())
@settings(max_examples=100)
def test_any_changed_byte_breaks_the_signature(raw: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(raw) - 1))
    changed = bytearray(raw)
    changed[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(SignatureMismatch):
        verify(bytes(changed), sign(raw), [SECRET])


@pytest.mark.case("A14")
def test_json_that_means_the_same_is_not_what_was_signed() -> None:
    raw = (PAYLOADS / "push/payload.json").read_bytes()
    with pytest.raises(SignatureMismatch):
        verify(json.dumps(json.loads(raw)).encode(), sign(raw), [SECRET])


@pytest.mark.case("B09")
@pytest.mark.parametrize("guid", ["", "a" * 101, "a b", "a\n", "é", "a\0"])
def test_a_guid_that_is_no_short_printable_text_is_refused(guid: str) -> None:
    with pytest.raises(PayloadRejected, match="X-GitHub-Delivery"):
        parse_delivery(headers_of("ping", guid=guid), b"{}")


@pytest.mark.parametrize("event", ["", "Ping", "a" * 65, "ping\n", "../x"])
def test_an_event_that_is_no_name_is_refused(event: str) -> None:
    with pytest.raises(PayloadRejected, match="X-GitHub-Event"):
        parse_delivery(headers_of(event), b"{}")


def test_header_names_are_read_in_any_case() -> None:
    headers = {name.upper(): value for name, value in headers_of("ping").items()}
    assert parse_delivery(headers, b"{}").event == "ping"


@pytest.mark.case("C02")
@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "multipart/form-data",
    ],
)
def test_other_content_types_are_refused_by_name(kind: str) -> None:
    with pytest.raises(ContentTypeRejected):
        parse_delivery({**headers_of("ping"), "Content-Type": kind}, b"{}")


def test_a_content_type_may_say_utf_8() -> None:
    headers = {**headers_of("ping"), "Content-Type": "Application/JSON; charset=UTF-8"}
    assert parse_delivery(headers, b"{}").payload == {}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"payload",
        b"other=1",
        b"payload={}&payload={}",
        b"payload=%ff",
        "payload=é".encode(),
        b"a=1&" * 11 + b"b=1",
    ],
)
def test_a_form_without_exactly_one_readable_payload_is_refused(raw: bytes) -> None:
    with pytest.raises(PayloadRejected):
        parse_delivery(headers_of("ping", form=True), raw)


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=200)
def test_any_signed_bytes_are_read_or_refused_and_never_crash(raw: bytes, form: bool) -> None:
    try:
        delivery = parse_delivery(headers_of("push", form=form), raw)
    except PayloadRejected:
        return
    assert isinstance(delivery.payload, dict)


def test_a_workflow_run_is_read_into_its_fields() -> None:
    assert workflow_run_of(delivery_of(fixture("workflow_run/completed.payload"))) == WorkflowRun(
        action="completed",
        conclusion="success",
        event="repository_dispatch",
        head_branch="master",
        head_sha="3484a3fb816e0859fd6e1cea078d76385ff50625",
        path=".github/workflows/test.yml",
        head_repository_id=300029405,
        repository_id=300029405,
        repository="octo-org/octo-repo",
        run_number=163,
        run_attempt=1,
        run_id=289782451,
        actor="Codertocat",
    )


def test_the_ref_after_the_path_is_dropped() -> None:
    run = workflow_run_of(delivery_of(run_payload(path=".github/workflows/build.yml@main")))
    assert run.path == ".github/workflows/build.yml"


def test_a_run_that_has_not_ended_has_no_conclusion() -> None:
    assert workflow_run_of(delivery_of(fixture("workflow_run/requested.payload"))).conclusion == ""


def test_the_run_of_a_deleted_fork_has_no_repository_and_equals_none() -> None:
    run = workflow_run_of(delivery_of(run_payload(head_repository=None, actor=None)))
    assert (run.head_repository_id, run.actor) == (0, "")


@pytest.mark.parametrize("revision", ["", "a" * 39, "A" * 40, "a" * 40 + "\n", "main"])
def test_a_head_sha_that_is_no_commit_is_refused(revision: str) -> None:
    with pytest.raises(PayloadRejected, match="head_sha"):
        workflow_run_of(delivery_of(run_payload(head_sha=revision)))


FIELDS = [
    ("action",),
    ("repository",),
    ("repository", "id"),
    ("workflow_run",),
    ("workflow_run", "conclusion"),
    ("workflow_run", "event"),
    ("workflow_run", "head_branch"),
    ("workflow_run", "head_sha"),
    ("workflow_run", "path"),
    ("workflow_run", "run_number"),
    ("workflow_run", "run_attempt"),
    ("workflow_run", "id"),
    ("workflow_run", "head_repository"),
    ("workflow_run", "head_repository", "id"),
    ("workflow_run", "actor"),
    ("workflow_run", "actor", "login"),
]


@pytest.mark.case("C11")
@pytest.mark.parametrize("path", FIELDS, ids=".".join)
@given(value=ANYTHING)
@settings(max_examples=40)
def test_a_field_of_any_other_type_is_refused_and_never_a_crash(path: tuple[str, ...], value: object) -> None:
    payload = run_payload()
    table = payload
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    try:
        run = workflow_run_of(delivery_of(payload))
    except PayloadRejected:
        return
    assert all(type(item) in (str, int) for item in vars(run).values())


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_a_field_that_is_a_list_is_refused_by_its_name(path: tuple[str, ...]) -> None:
    payload = run_payload()
    table = payload
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = [1]
    with pytest.raises(PayloadRejected, match=path[-1]):
        workflow_run_of(delivery_of(payload))


@pytest.mark.case("C11")
@pytest.mark.parametrize("value", [True, -1, 1.5, "12", None])
def test_a_run_number_is_a_whole_number(value: object) -> None:
    with pytest.raises(PayloadRejected, match="run_number"):
        workflow_run_of(delivery_of(run_payload(run_number=value)))


def test_a_ping_tells_the_webhooks_settings() -> None:
    ping = ping_of(delivery_of(fixture("ping/payload"), "ping"))
    assert (ping.events, ping.content_type, ping.insecure_ssl) == (("*",), "json", False)


@pytest.mark.parametrize(("value", "expected"), [("0", False), ("1", True), (0, False), (1, True)])
def test_insecure_ssl_is_read_as_text_and_as_number(value: object, expected: bool) -> None:
    payload = fixture("ping/payload")
    payload["hook"]["config"]["insecure_ssl"] = value
    assert ping_of(delivery_of(payload, "ping")).insecure_ssl is expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("events", ["push", 1]),
        ("events", "push"),
        ("config", None),
        ("config", {"content_type": "json", "insecure_ssl": True}),
    ],
)
def test_a_ping_of_another_shape_is_refused(key: str, value: object) -> None:
    payload = fixture("ping/payload")
    payload["hook"][key] = value
    with pytest.raises(PayloadRejected):
        ping_of(delivery_of(payload, "ping"))
