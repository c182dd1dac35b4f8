from __future__ import annotations

import pytest

from deployer.core.errors import ReleaseIncomplete
from deployer.core.redaction import redact, redact_secrets
from deployer.core.release.image_selection import wanted_images
from deployer.core.reporting.log_excerpt import failure_line
from testing.compose_models import digest, image

SHA = "a" * 40


def test_every_service_gets_a_digest_or_a_tag_to_look_up() -> None:
    rendered = {
        "services": {
            "api": {"build": {}},
            "cache": {"image": "redis"},
            "db": {"image": f"postgres:16@{digest('d')}"},
            "given": {"image": "busybox"},
            "queue": {"image": "localhost:5000/rabbit:3"},
            "worker": {"image": "ghcr.io/Acme/Web:latest"},
            "web": {"build": {}, "image": "ghcr.io/Acme/Web:latest"},
        }
    }
    wanted = wanted_images(
        rendered,
        {"api": image("api", "a"), "given": image("given", "b")},
        revision=SHA,
        registry="ghcr.io",
        source="Acme/Shop",
        compose="compose.yaml",
    )
    assert [(w.service, w.built, str(w.image or ""), w.repository, w.tag) for w in wanted] == [
        ("api", True, str(image("api", "a")), "", ""),
        ("cache", False, "", "redis", "latest"),
        ("db", False, f"postgres@{digest('d')}", "", ""),
        ("given", False, str(image("given", "b")), "", ""),
        ("queue", False, "", "localhost:5000/rabbit", "3"),
        ("web", True, "", "ghcr.io/acme/web", f"sha-{SHA}"),
        ("worker", True, "", "ghcr.io/acme/web", f"sha-{SHA}"),
    ]


def test_a_built_service_without_a_name_is_named_after_the_repository() -> None:
    wanted = wanted_images(
        {"services": {"api": {"build": {}}}},
        {},
        revision=SHA,
        registry="ghcr.io",
        source="Acme/Shop",
        compose="compose.yaml",
    )
    assert wanted[0].repository == "ghcr.io/acme/shop-api"


def test_a_service_with_neither_is_refused() -> None:
    with pytest.raises(ReleaseIncomplete, match="service x names neither"):
        wanted_images(
            {"services": {"x": {}}},
            {},
            revision=SHA,
            registry="ghcr.io",
            source="a/b",
            compose="compose.yaml",
        )


def test_values_of_variables_do_not_show() -> None:
    text = "connect postgres://u:hunter22@db failed, LEVEL=on"
    assert redact(text, {"PASSWORD": "hunter22", "LEVEL": "on", "URL": "u:hunter22@db"}) == (
        "connect postgres://[redacted] failed, LEVEL=on"
    )


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], ""),
        (["starting", "bye"], "bye"),
        (["starting", "an error happened", "bye"], "an error happened"),
        (["throw new Error('no url')", "Error: no url", "    at main.js"], "Error: no url"),
        (["Traceback", "psycopg.OperationalError: refused"], "psycopg.OperationalError: refused"),
        (["panic: nil map", "error 1"], "panic: nil map"),
    ],
)
def test_the_line_that_says_why(lines: list[str], told: str) -> None:
    assert failure_line(lines) == told


def test_our_own_text_keeps_what_is_no_secret() -> None:
    variables = {
        "REGISTRY": "127.0.0.1:5000/acme",
        "NODE_ENV": "production",
        "API_KEY": "abcd",
        "PIN_TOKEN": "12",
        "DB": "postgres://u:hunter@db/x",
        "SEED": "a8f5f167f44f4964e6c998dee827110c",
    }
    for name in ("REGISTRY", "NODE_ENV", "PIN_TOKEN"):
        assert redact_secrets(variables[name], variables) == variables[name]
    assert redact_secrets("password hunter refused", variables) == "password [redacted] refused"
    for name in ("API_KEY", "DB", "SEED"):
        assert redact_secrets(f"got {variables[name]}!", variables) == "got [redacted]!"
