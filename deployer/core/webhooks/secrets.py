"""Webhook secrets of all apps. In: the secrets, raw bytes, a signature. Out: the apps with the signing
secret. Never performs I/O.

A body is signed over again for each secret, so a thousand apps would cost a thousand signatures for each
delivery. GitHub names the repository in an unsigned header: it only determines which secrets are tried first.
An app is returned only if its own secret fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployer.core.errors import SignatureMismatch
from deployer.core.webhooks.delivery import verify

_Secrets = Mapping[bytes, Sequence[str]]  # secret → the apps that have it


class WebhookSecrets:
    """Webhook secrets. `secrets`: app → its webhook secrets. `repositories`: app → its repository's number on
    GitHub.
    """

    def __init__(self, secrets: Mapping[str, Sequence[bytes]], repositories: Mapping[str, int]) -> None:
        self._all = _by_secret(secrets, list(secrets))
        apps: dict[str, list[str]] = {}
        for app in secrets:
            apps.setdefault(str(repositories.get(app, "")), []).append(app)
        self._near = {number: _by_secret(secrets, names) for number, names in apps.items()}

    def signers(self, raw: bytes, signature: str | None, repository: str = "") -> frozenset[str]:
        """Returns the apps with a secret that signed exactly these bytes: the sender speaks for no other app.
        `repository` is the sender's unverified claim. Raises SignatureMismatch.
        """
        if near := self._near.get(repository):
            try:
                return _signers(raw, signature, near)
            except SignatureMismatch:
                pass  # another repository's signature, or an invalid one
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
