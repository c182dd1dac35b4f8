"""A delivery speaks for the apps whose secret signed it, whatever its headers claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.errors import SignatureMismatch
from deployer.core.webhooks.secrets import WebhookSecrets
from testing.receiver.receiver_inputs import sign

SECRETS = {"shop": [b"new of shop", b"old of shop"], "blog": [b"of blog"], "twin": [b"new of shop"]}
REPOSITORIES = {"shop": 1, "blog": 2, "twin": 1}
KEYRING = WebhookSecrets(SECRETS, REPOSITORIES)
CLAIMS = st.sampled_from(["", "0", "1", "2", "3", "shop", "1 "])


@given(st.binary(max_size=50), st.sampled_from(["shop", "blog", "twin"]), CLAIMS, st.integers(0, 1))
def test_the_claimed_repository_changes_nothing_but_the_order(
    raw: bytes, app: str, claim: str, index: int
) -> None:
    secret = SECRETS[app][index % len(SECRETS[app])]
    expected = {name for name, secrets in SECRETS.items() if secret in secrets}
    assert KEYRING.signers(raw, sign(raw, secret), claim) == expected


@given(st.binary(max_size=50), CLAIMS)
def test_a_secret_of_nobody_is_refused_whatever_is_claimed(raw: bytes, claim: str) -> None:
    with pytest.raises(SignatureMismatch):
        KEYRING.signers(raw, sign(raw, b"of nobody"), claim)


def test_apps_that_share_a_secret_across_repositories_speak_for_what_is_claimed_only() -> None:
    """Narrower than the secret allows, never wider."""
    shared = WebhookSecrets({"a": [b"s"], "b": [b"s"]}, {"a": 1, "b": 2})
    assert shared.signers(b"x", sign(b"x", b"s"), "1") == {"a"}
    assert shared.signers(b"x", sign(b"x", b"s"), "") == {"a", "b"}


def test_without_any_secret_nothing_is_signed() -> None:
    with pytest.raises(SignatureMismatch):
        WebhookSecrets({}, {}).signers(b"x", sign(b"x", b""))
