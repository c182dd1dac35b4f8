"""Build arguments that look like secrets, and those that do not."""

from __future__ import annotations

import base64
import json
import time

import pytest

from deployer.core.build.build_args import declared_in, find_secrets, lines_of, parse_names, why_secret


def jwt(**claims: object) -> str:
    """A token as Supabase and others hand them out."""
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join((*coded, "c2lnbmF0dXJl"))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("VITE_SUPABASE_KEY", jwt(role="service_role", iss="supabase"), "role service_role"),
        ("X", f"Bearer {jwt(role='admin')}", "role admin"),
        ("X", "-----BEGIN PRIVATE KEY-----\nMII", "private key"),
        ("X", "-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("X", "-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("X", "postgres://app:hunter2@db/app", "address with a password"),
        ("X", "ghp_" + "a" * 36, "known make"),
        ("X", "github_pat_" + "a" * 22, "known make"),
        ("X", "sk_live_" + "a" * 24, "known make"),
        ("X", "AKIA" + "A" * 16, "known make"),
        ("X", "sb_secret_" + "a" * 20, "known make"),
        ("JWT_SECRET", "x", "secret's name"),
        ("SUPABASE_SERVICE_KEY", "x", "secret's name"),
        ("SUPABASE_SERVICE_ROLE_KEY", "x", "secret's name"),
        ("DB_PASSWORD", "x", "secret's name"),
        ("db_password", "x", "secret's name"),
        ("SECRET", "x", "secret's name"),
        ("AWS_SECRET_ACCESS_KEY", "x", "secret's name"),
        ("TLS_PRIVATE_KEY", "x", "secret's name"),
        ("DATABASE_URL", "x", "secret's name"),
        # Meant for every browser.
        ("VITE_SUPABASE_ANON_KEY", jwt(role="anon"), ""),
        ("X", jwt(role="authenticated"), ""),
        ("X", jwt(sub="1"), ""),
        ("X", jwt(role=["service_role"]), ""),
        ("X", "eyJx.eyJx.x", ""),
        ("X", "eyJx.eyJbXQ.x", ""),
        ("VITE_API_BASE", "https://api.example.com/v1", ""),
        ("VITE_STRIPE_KEY", "pk_live_" + "a" * 24, ""),
        ("PUBLIC_KEY", "x", ""),
        ("SENTRY_DSN", "https://abc@sentry.io/1", ""),
        ("SECRET_SANTA", "x", ""),
        ("JWT_SECRET", "", ""),
        ("JWT_SECRET", "  ", ""),
        ("NODE_ENV", "production", ""),
        ("X", "-----BEGIN PUBLIC KEY-----", ""),
        ("X", "redis://cache:6379/0", ""),
    ],
)
def test_what_looks_like_a_secret_and_why(name: str, value: str, words: str) -> None:
    reason = why_secret(name, value)
    assert words in reason
    assert bool(reason) == bool(words)


def test_what_is_named_as_public_is_let_through() -> None:
    arguments = {"A_SECRET": "x", "B_SECRET": "x", "C": "x"}
    assert find_secrets(arguments, frozenset({"A_SECRET"})) == {"B_SECRET": "has a secret's name"}


def test_names_come_in_lines_or_with_commas() -> None:
    assert parse_names(" A_1, B\nC\n") == {"A_1", "B", "C"}
    assert parse_names(" ") == frozenset()
    for wrong in ("A=1", "1A", "A;B", "*"):
        with pytest.raises(ValueError, match=r"."):
            parse_names(wrong)


def test_a_dockerfiles_arguments() -> None:
    text = """ARG BASE=node:20
FROM ${BASE}
 arg one
ARG TWO="a b" THREE=x FOUR='c d'
ARG FIVE \\
    SIX=$BASE
# ARG NOT
RUN echo ARG NEITHER
"""
    assert declared_in(text) == {"BASE", "one", "TWO", "THREE", "FOUR", "FIVE", "SIX"}


def test_lines_of_an_env_file() -> None:
    text = "# c\nA=1\n export B = 'two' \nC: three\n\nD=\"x=y\"\nnot a line\n"
    assert lines_of(text) == {"A": "1", "B": "two", "C": "three", "D": "x=y"}


def test_a_long_value_is_searched_in_proportion_to_its_length() -> None:
    """Four times as long takes four times as long, not sixteen; the best of three, on a busy machine too."""

    def took(text: str) -> float:
        times = []
        for _ in range(3):
            begun = time.process_time()
            assert why_secret("X", text) == ""
            times.append(time.process_time() - begun)
        return min(times)

    for part in ("a", "eyJ", "eyJa.", "://", "a://b:"):
        few, many = (part * (length // len(part)) for length in (50_000, 200_000))
        assert took(many) < 10 * max(took(few), 0.002)
