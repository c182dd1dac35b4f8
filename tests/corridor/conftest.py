"""An intake over a real store and a real issuer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters.oidc import OidcVerifier
from deployer.adapters.store import SqliteStore
from deployer.intake import (
    Intake,
)
from tests.stand.issuer import Issuer
from tests.stand.receiver import (
    intake_of,
    open_store,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def intake(store: SqliteStore, issuer: Issuer, tmp_path: Path) -> Intake:
    return intake_of(store, verify_token=OidcVerifier(issuer.url, tmp_path / "jwks.json").verify_token)
