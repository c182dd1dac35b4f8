"""Whose secret signed a delivery. In: every app's webhook secrets, raw bytes, a signature. Out: apps. No I/O.

A body is signed over again for each secret, so a thousand apps would cost a thousand signatures for each
delivery. GitHub names the repository in a header that nobody signs: it only says which secrets are tried
first. An app is named here only where its own secret fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployer.core.errors import SignatureMismatch
from deployer.core.webhooks.delivery import verify

_Secrets = Mapping[bytes, Sequence[str]]  # secret → the apps that have it


class Keyring:
    """`secrets`: app → its webhook secrets. `repositories`: app → its repository's number on GitHub."""

    def __init__(self, secrets: Mapping[str, Sequence[bytes]], repositories: Mapping[str, int]) -> None:
        self._all = _by_secret(secrets, list(secrets))
        apps: dict[str, list[str]] = {}
        for app in secrets:
            apps.setdefault(str(repositories.get(app, "")), []).append(app)
        self._near = {number: _by_secret(secrets, names) for number, names in apps.items()}

    def signers(self, raw: bytes, signature: str | None, repository: str = "") -> frozenset[str]:
        """The apps whose secret signed exactly these bytes: they speak for no other app. `repository` is what
        the sender says without proof. Raises SignatureMismatch.
        """
        if near := self._near.get(repository):
            try:
                return _signers(raw, signature, near)
            except SignatureMismatch:
                pass  # another repository's, or nobody's
        return _signers(raw, signature, self._all)


def _by_secret(secrets: Mapping[str, Sequence[bytes]], apps: Sequence[str]) -> _Secrets:
    found: dict[bytes, list[str]] = {}
    for app in apps:
        for secret in secrets[app]:
            found.setdefault(secret, []).append(app)
    return found


def _signers(raw: bytes, signature: str | None, secrets: _Secrets) -> frozenset[str]:
    apps = list(secrets.values())
    return frozenset(app for index in verify(raw, signature, list(secrets)) for app in apps[index])
