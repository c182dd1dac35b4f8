"""The deploy request: what one half writes the other reads, and nothing else is read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.errors import PayloadRejected
from deployer.core.images import Image
from deployer.core.model import Bundle, Credentials, Run
from deployer.core.names import MAX_SERVICES, is_bundle_path
from deployer.core.requests.deploy_request import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_VARIABLE_BYTES,
    MAX_VARIABLES,
    DeployRequest,
    audience_of,
    encode_request,
    parse_request,
    wrong_variable,
)

DIGEST = "sha256:" + "ab" * 32
REVISION = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
IMAGE = Image("ghcr.io/acme/shop-web", DIGEST)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
some_text = texts.filter(bool)
counts = st.integers(0, 2**53 - 1)
images = st.builds(
    Image,
    st.from_regex(r"ghcr\.io/[a-z0-9]{1,8}/[a-z0-9]{1,8}(-[a-z0-9]{1,8})?", fullmatch=True),
    st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda digits: f"sha256:{digits}"),
)
services = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}", fullmatch=True)
paths = st.from_regex(r"([a-z0-9_ü-]{1,8}/){0,3}[a-z0-9_-]{1,8}\.[a-z]{1,4}", fullmatch=True)


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    files = draw(st.dictionaries(paths, texts, min_size=1, max_size=5))
    return Bundle(draw(st.sampled_from(sorted(files))), files)


requests = st.builds(
    DeployRequest,
    repository=some_text,
    app=texts,
    environment=some_text,
    revision=st.text("0123456789abcdef", min_size=40, max_size=40),
    run=st.builds(Run, counts, counts),
    actor=texts,
    images=st.dictionaries(services, images, min_size=1, max_size=5),
    bundle=bundles(),
    credentials=st.none() | st.builds(Credentials, some_text, some_text, some_text),
    variables=st.dictionaries(
        st.from_regex(r"[A-Z_]{1,6}[0-9]{0,2}", fullmatch=True),  # too short for what steers Docker
        texts,
        max_size=4,
    ),
    defaults=st.dictionaries(
        st.from_regex(r"[A-Z_]{1,6}[0-9]{0,2}", fullmatch=True),  # too short for what steers Docker
        texts,
        max_size=4,
    ),
    confirm=st.integers(0, 600),
)


def a_request(**changes: Any) -> DeployRequest:
    request = DeployRequest(
        repository="acme/shop",
        app="shop",
        environment="production",
        revision=REVISION,
        run=Run(7, 2),
        actor="octocat",
        images={"web": IMAGE},
        bundle=Bundle("compose.yaml", {"compose.yaml": "services: {}\n"}),
        credentials=None,
    )
    return dataclasses.replace(request, **changes)


def body_of(**changes: Any) -> bytes:
    """A valid body with fields changed; a value of `...` leaves the field out."""
    body = json.loads(encode_request(a_request(credentials=Credentials("ghcr.io", "me", "secret"))))
    for key, value in changes.items():
        if value is ...:
            del body[key]
        else:
            body[key] = value
    return json.dumps(body).encode()


def refused(**changes: Any) -> str:
    with pytest.raises(PayloadRejected) as caught:
        parse_request(body_of(**changes))
    return str(caught.value)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine the drawing takes its time
@given(requests)
def test_what_one_half_writes_the_other_reads(request: DeployRequest) -> None:
    assert parse_request(encode_request(request)) == request


def test_the_same_request_always_gives_the_same_bytes() -> None:
    files = {"compose.yaml": "a", "b.env": "b"}
    one = a_request(bundle=Bundle("compose.yaml", files), images={"web": IMAGE, "api": IMAGE})
    other = a_request(
        bundle=Bundle("compose.yaml", dict(reversed(files.items()))), images={"api": IMAGE, "web": IMAGE}
    )
    assert encode_request(one) == encode_request(other)


def test_a_request_without_a_login_carries_none() -> None:
    assert "registry" not in json.loads(encode_request(a_request()))


def test_the_audience_binds_the_server_and_every_byte() -> None:
    body = encode_request(a_request())
    expected = f"https://d.example#sha256={hashlib.sha256(body).hexdigest()}"
    assert audience_of("https://d.example", body) == audience_of("https://d.example/", body) == expected
    assert audience_of("https://d.example", body + b" ") != expected
    assert audience_of("https://other.example", body) != expected


def test_optional_fields_may_be_left_out() -> None:
    request = parse_request(body_of(app=..., actor=..., registry=...))
    assert (request.app, request.actor, request.credentials) == ("", "", None)


def test_a_field_that_is_not_known_yet_is_passed_over() -> None:
    assert parse_request(body_of(later={"a": 1})).environment == "production"


def test_a_long_actor_is_cut() -> None:
    assert parse_request(body_of(actor="a" * 300)).actor == "a" * 100


def test_a_password_is_in_no_printed_form() -> None:
    request = parse_request(body_of(registry={"host": "ghcr.io", "username": "me", "password": "canary"}))
    assert request.credentials == Credentials("ghcr.io", "me", "canary")
    assert "canary" not in repr(request)


@pytest.mark.parametrize("schema", [0, 2, "1", None, ...])
def test_another_schema_is_refused_and_says_what_to_do(schema: object) -> None:
    with pytest.raises(PayloadRejected, match="schema") as caught:
        parse_request(body_of(schema=schema))
    assert "one version" in caught.value.hint


@pytest.mark.parametrize("field", ["repository", "environment", "revision"])
@pytest.mark.parametrize("value", ["", None, 7, [], ...])
def test_a_required_text_that_is_missing_or_no_text_is_named(field: str, value: object) -> None:
    assert refused(**{field: value}).startswith(f"{field}:")


@pytest.mark.parametrize("field", ["app", "actor"])
@pytest.mark.parametrize("value", [None, 7, {}])
def test_an_optional_text_that_is_no_text_is_named(field: str, value: object) -> None:
    assert refused(**{field: value}).startswith(f"{field}:")


@pytest.mark.parametrize("field", ["run", "images", "compose", "registry"])
@pytest.mark.parametrize("value", [None, 7, "x", []])
def test_a_table_that_is_none_is_named(field: str, value: object) -> None:
    assert refused(**{field: value}) == f"{field}: should be an object"


@pytest.mark.parametrize(
    "revision", [REVISION[:-1], REVISION + "0", REVISION.upper(), "main", REVISION + "\n"]
)
def test_a_revision_is_a_full_commit_id(revision: str) -> None:
    assert "40 hex digits" in refused(revision=revision)


@pytest.mark.parametrize("value", [-1, 2**53, 1.0, "1", True, None, ...])
@pytest.mark.parametrize("key", ["number", "attempt"])
def test_a_run_has_whole_numbers(key: str, value: object) -> None:
    run = {"number": 1, "attempt": 1, key: value}
    if value is ...:
        del run[key]
    assert refused(run=run) == f"run.{key}: should be a whole number"


def test_a_deploy_that_waits_for_a_confirmation_says_how_long() -> None:
    assert parse_request(body_of()).confirm == 0
    assert parse_request(body_of(confirm=600)).confirm == 600


@pytest.mark.parametrize("seconds", [-1, 601, 1.5, "60", True, None])
def test_a_wait_for_a_confirmation_is_whole_seconds_and_not_for_ever(seconds: object) -> None:
    assert refused(confirm=seconds) == "confirm: should be a whole number of seconds, at most 600"


def test_images_are_one_to_a_hundred() -> None:
    assert "1 to 100" in refused(images={})
    most = {f"s{number}": str(IMAGE) for number in range(MAX_SERVICES)}
    assert len(parse_request(body_of(images=most)).images) == MAX_SERVICES
    assert "1 to 100" in refused(images={**most, "one-more": str(IMAGE)})


@pytest.mark.parametrize("service", ["", "-web", "a b", "a/b", "s" * 64, "web\n", "wéb"])
def test_a_name_that_no_service_has_is_refused(service: str) -> None:
    assert "is not a service name" in refused(images={service: str(IMAGE)})


@pytest.mark.parametrize("text", ["ghcr.io/acme/web:main", "", None, 7])
def test_an_image_without_digest_is_refused(text: object) -> None:
    assert "image" in refused(images={"web": text})


def test_the_entry_is_one_of_at_most_two_hundred_files() -> None:
    files = {f"f{number}.env": "" for number in range(MAX_FILES)}
    assert parse_request(body_of(compose={"entry": "f0.env", "files": files})).bundle.files == files
    for compose in (
        {"entry": "compose.yaml", "files": files},
        {"entry": "f0.env", "files": {**files, "one-more": ""}},
        {"entry": "f0.env", "files": {}},
    ):
        assert "should hold compose.entry" in refused(compose=compose)


def test_the_size_of_a_file_counts_in_bytes() -> None:
    most = "ü" * (MAX_FILE_BYTES // 2)
    assert parse_request(body_of(compose={"entry": "c", "files": {"c": most}})).bundle.files["c"] == most
    assert "bytes" in refused(compose={"entry": "c", "files": {"c": most + "x"}})


@pytest.mark.parametrize("text", [None, 7, ["a"], {"a": 1}])
def test_a_file_that_is_no_text_is_refused(text: object) -> None:
    assert "should be text" in refused(compose={"entry": "c", "files": {"c": text}})


@pytest.mark.parametrize("path", ["c", "a/b/c.yaml", ".env", "..a", "a..b/c", "wéb/ü.env", "a b", "-x", "~"])
def test_a_path_inside_the_repository_is_taken(path: str) -> None:
    assert is_bundle_path(path)
    assert parse_request(body_of(compose={"entry": path, "files": {path: ""}})).bundle.entry == path


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "//x",
        "..",
        "../x",
        "a/../x",
        "a/..",
        "a\\b",
        "a\nb",
        "p" * 256,
        ".",
        "./a",
        "a/",
        "a//b",
        "a/.",
    ],
)
def test_a_path_that_leaves_its_folder_or_has_two_spellings_is_refused(path: str) -> None:
    assert not is_bundle_path(path)
    assert "not a path inside" in refused(compose={"entry": "c", "files": {"c": "", path: ""}})


def test_the_empty_path_is_refused() -> None:
    assert not is_bundle_path("")


def test_a_path_cannot_be_a_file_and_a_folder() -> None:
    assert "'a/b' is a file and a folder" in refused(
        compose={"entry": "c", "files": {"c": "", "a/b/d": "", "a/b": ""}}
    )


@pytest.mark.parametrize("key", ["host", "username", "password"])
def test_a_login_is_complete_or_refused(key: str) -> None:
    login = {"host": "ghcr.io", "username": "me", "password": "secret"}
    assert refused(registry={**login, key: ""}).startswith(f"{key}:")


def test_variables_are_taken_as_they_are_and_in_no_printed_form() -> None:
    variables = {"STRIPE_KEY": "canary $x \n'\"", "_A1": "", "lower": "ü"}
    request = parse_request(body_of(variables=variables, defaults={"B": "canary"}))
    assert (request.variables, request.defaults) == (variables, {"B": "canary"})
    assert "canary" not in repr(request)
    assert parse_request(body_of()).variables == {}


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"1A": "canary"}, "'1A' is not a variable's name"),
        ({"A B": "canary"}, "'A B' is not"),
        ({"A" * 201: "canary"}, "is not a variable's name"),
        ({"COMPOSE_FILE": "canary"}, "COMPOSE_FILE would steer"),
        ({"docker_host": "canary"}, "docker_host would steer"),
        ({"A": 1}, "A should be text"),
        ({"A": None}, "A should be text"),
        ({"A": "canary" + "x" * MAX_VARIABLE_BYTES}, "A should be text of at most"),
        ({f"A{number}": "canary" for number in range(MAX_VARIABLES + 1)}, "at most 500"),
        (["A=canary"], "should be an object"),
    ],
)
def test_a_variable_that_cannot_be_is_refused_without_its_value(variables: object, why: str) -> None:
    for key in ("variables", "defaults"):
        message = refused(**{key: variables})
        assert message.startswith(f"{key}: ") and why in message and "canary" not in message


def test_no_environment_can_hold_a_nul() -> None:
    assert wrong_variable("A", "x\0") == "A should be text of at most 100000 bytes"


def test_the_seconds_to_wait_for_a_confirmation_are_sent_where_there_are_any() -> None:
    assert json.loads(encode_request(a_request(confirm=90)))["confirm"] == 90
    assert "confirm" not in json.loads(encode_request(a_request()))
