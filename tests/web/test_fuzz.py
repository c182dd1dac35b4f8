"""Anything at all, at the receiver and at every parser behind it: no crash, no 5xx, and nothing accepted
that is not in order. A small budget each time, 50,000 cases and more with `script/test --long`.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from deployer.adapters.docker.compose.compose_yaml import WrittenFiles
from deployer.core.auth.api_tokens import Right
from deployer.core.config.settings import Config, load_config
from deployer.core.errors import ComposeRejected, ConfigError, PayloadRejected
from deployer.core.http.client_address import caller_of, read_networks
from deployer.core.http.strict_json import parse_object
from deployer.core.images import Image, parse_image
from deployer.core.requests.deploy_request import encode_request, parse_request
from testing.docker.docker_cli import ROOT
from testing.receiver.receiver_inputs import (
    REVISION,
    announcement,
    body_of,
    deploy_request,
    fixture,
    headers_of,
    package_event,
    run_payload,
    sign,
)
from tests.web.conftest import WebClient

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["", "main", "push", "success", "../x", "$(id)", "a\n", "\0", "\ud800", REVISION, "é" * 400]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PAYLOADS: dict[str, dict[str, Any]] = {
    "workflow_run": run_payload(),
    "deployment": announcement(),
    "package": package_event(),
    "registry_package": package_event("registry_package"),
    "ping": fixture("ping/payload"),
    "push": fixture("push/payload"),
}
REQUEST: dict[str, Any] = json.loads(encode_request(deploy_request()))
SETTINGS = tomllib.loads((ROOT / "docs/reference/config.toml").read_text(encoding="utf-8"))
LINE = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=80)


def paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))


@st.composite
def changed(draw: st.DrawFn, table: dict[str, Any]) -> dict[str, Any]:
    """The table with one to three of its fields replaced or gone."""
    result = copy.deepcopy(table)
    for path in draw(st.lists(st.sampled_from(sorted(paths(table), key=str)), min_size=1, max_size=3)):
        inner: Any = result
        for key in path[:-1]:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            if draw(st.booleans()) and draw(st.booleans()):
                inner.pop(path[-1], None)
            else:
                inner[path[-1]] = draw(ANYTHING)
    return result


def text_of(table: object) -> bytes:
    """As a sender may write it that takes no care: also `NaN` and half surrogates."""
    return json.dumps(table).encode()


class Fuzz:
    """What is asked of a receiver; `seen` counts the answers."""

    def __init__(self, web_client: WebClient) -> None:
        self._client = web_client.client
        self._store = web_client.receiver.store
        self._person = web_client.token(Right.DEPLOY, Right.REDEPLOY, Right.ROLLBACK, Right.READ)
        self._id = web_client.deploy()["id"]
        self.seen: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()  # of signed events

    def _ask(
        self, method: str, path: str, may: set[int], raw: bytes, headers: dict[str, str]
    ) -> TestResponse:
        answer = self._client.open(path, method=method, data=raw, headers=headers)
        self.seen[answer.status_code] += 1
        assert answer.status_code in may, (answer.status_code, answer.text)
        assert answer.mimetype in ("application/json", "text/event-stream")
        return answer

    def _deliver(self, raw: bytes, event: str, may: set[int], **changes: str) -> TestResponse:
        headers = {**headers_of(event), "X-Hub-Signature-256": sign(raw), **changes}
        return self._ask("POST", "/webhook", may, raw, headers)

    def signed_event(self, given_: tuple[str, dict[str, Any]]) -> None:
        event, payload = given_
        answer = self._deliver(text_of(payload), event, {200, 202, 400, 403})
        outcome = answer.get_json().get("outcome", "refused")
        self.outcomes[outcome] += 1
        if outcome in ("queued", "duplicate", "stale"):  # all were found in order; only the queue differs
            self._expect_in_order(event, payload)

    def _expect_in_order(self, event: str, payload: Mapping[str, Any]) -> None:
        """By the rules as GitHub's pages tell them, read anew."""
        assert payload["repository"]["id"] == 4711
        if event == "workflow_run":
            run = payload["workflow_run"]
            assert (payload["action"], run["conclusion"], run["head_branch"]) == (
                "completed",
                "success",
                "main",
            )
            assert run["event"] in ("push", "workflow_dispatch") and run["head_repository"]["id"] == 4711
            assert re.fullmatch(r"[0-9a-f]{40}", run["head_sha"])
        else:
            assert event == "deployment"
            made = payload["deployment"]
            assert (payload["action"], made["task"], made["ref"]) == ("created", "deploy-images", "main")
            assert made["environment"].lower() == "production"
            for image in made["payload"]["images"].values():
                assert re.fullmatch(r"ghcr\.io/acme/shop(-[^/\s]*)?(:\S+)?@sha256:[0-9a-f]{64}", image)

    def signed_bytes(self, raw: bytes) -> None:
        self._deliver(raw, "workflow_run", {200, 400})

    def signed_headers(self, given_: tuple[str, str, str]) -> None:
        event, guid, kind = given_
        changes = {"X-GitHub-Event": event, "X-GitHub-Delivery": guid, "Content-Type": kind}
        self._deliver(body_of(PAYLOADS["push"]), "push", {200, 400, 415}, **changes)

    def unsigned(self, given_: tuple[bytes, str]) -> None:
        raw, signature = given_
        self._ask("POST", "/webhook", {401, 429}, raw, {"X-Hub-Signature-256": signature})

    def persons_request(self, table: dict[str, Any]) -> None:
        answer = self._ask(
            "POST", "/api/v1/deployments", {200, 202, 400, 403, 404}, text_of(table), self._person
        )
        if answer.status_code in (200, 202):
            assert table["environment"] == "production" and table["repository"].lower() == "acme/shop"
            assert all(
                re.fullmatch(r"ghcr\.io/acme/shop(-[^/\s]*)?", parse_image(text).repository)
                for text in table["images"].values()
            )

    def persons_verb(self, given_: tuple[str, str, bytes]) -> None:
        app, environment, raw = given_
        path = f"/api/v1/apps/{app}/{environment}/redeploy"
        self._ask("POST", path, {400, 403, 404, 405}, raw, self._person)

    def bearer(self, token: str) -> None:
        self._ask("POST", "/api/v1/deployments", {400, 401, 429}, b"{}", {"Authorization": token})

    def reading(self, given_: tuple[str, str]) -> None:
        after, last = given_
        self._ask("GET", f"/api/v1/deployments/{self._id}?after={after}", {200, 400}, b"", self._person)
        other = f"/api/v1/deployments/{after}x/events"
        self._ask("GET", other, {404, 405}, b"", {**self._person, "Last-Event-ID": last})


def parse(reader: Callable[[Any], object], refusal: type[Exception]) -> Callable[[Any], None]:
    def run(value: Any) -> None:
        with contextlib.suppress(refusal):
            assert isinstance(reader(value), dict | list | Image | Config | tuple) or reader(value)

    return run


SEGMENT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#%"), max_size=70)
RAW = st.binary(max_size=200) | ANYTHING.map(text_of)
RECEIVER: dict[str, st.SearchStrategy[Any]] = {
    "signed_event": st.sampled_from(sorted(PAYLOADS)).flatmap(
        lambda event: st.tuples(st.just(event), changed(PAYLOADS[event]))
    ),
    "signed_bytes": RAW,
    "signed_headers": st.tuples(LINE, LINE, LINE),
    "unsigned": st.tuples(RAW, LINE),
    "persons_request": changed(REQUEST),
    "persons_verb": st.tuples(SEGMENT, SEGMENT, RAW),
    "bearer": LINE.map(lambda text: f"Bearer {text}") | LINE,
    "reading": st.tuples(SEGMENT, LINE),
}
PROXIES = read_networks(("127.0.0.1", "10.0.0.0/8"))
PARSERS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = {
    "images": (st.text(max_size=120) | ANYTHING, parse(parse_image, PayloadRejected)),
    "strict_json": (RAW, parse(lambda raw: (parse_object(raw),), PayloadRejected)),
    "request": (changed(REQUEST).map(text_of), parse(lambda raw: (parse_request(raw),), PayloadRejected)),
    "settings": (changed(SETTINGS), parse(load_config, ConfigError)),
    "yaml": (
        st.text("&*[]{}<!-: \n\"'abc0", max_size=120) | st.text(max_size=120),
        parse(lambda text: (WrittenFiles().parse(text),), ComposeRejected),
    ),
    "caller": (
        st.tuples(st.text("0123456789abcdef:.,% []", max_size=60), LINE),
        parse(lambda both: caller_of(both[0], both[1], PROXIES).key, KeyError),
    ),
}
SMALL, LARGE = 40, 4_000
LEAST = 0.9  # of a budget: some values come twice
BUDGETS = [pytest.param(SMALL, id="small"), pytest.param(LARGE, id="large", marks=pytest.mark.long)]


def run_cases(strategy: st.SearchStrategy[Any], judge: Callable[[Any], None], budget: int) -> int:
    """Different ones each time, until so many were judged."""
    judged = 0

    @given(strategy)
    @settings(
        max_examples=budget,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    def cases(value: Any) -> None:
        nonlocal judged
        judged += 1
        judge(value)

    cases()
    return judged


@pytest.mark.case("C11", "D01", "E01")
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", RECEIVER)
def test_the_receiver_answers_anything_well(web_client: WebClient, name: str, budget: int) -> None:
    fuzz = Fuzz(web_client)
    judged = run_cases(RECEIVER[name], getattr(fuzz, name), budget)
    print(f"{judged} cases at the receiver, {name}: {dict(sorted(fuzz.seen.items()))} {dict(fuzz.outcomes)}")
    assert judged >= budget * LEAST and not any(status >= 500 for status in fuzz.seen)


@pytest.mark.case("C11")
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", PARSERS)
def test_every_parser_reads_or_refuses_anything(name: str, budget: int) -> None:
    strategy, judge = PARSERS[name]
    judged = run_cases(strategy, judge, budget)
    print(f"{judged} cases at the parser of {name}")
    assert judged >= budget * LEAST


def test_the_large_budget_is_fifty_thousand() -> None:
    assert LARGE * LEAST * (len(RECEIVER) + len(PARSERS)) >= 50_000
