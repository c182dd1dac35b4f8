"""For all tests: a store on a real file, a real OIDC issuer, the receiver over both.

A busy machine is no failure of a property.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from deployer.adapters.github.oidc_verifier import OidcVerifier
from deployer.adapters.sqlite.store import SqliteStore
from deployer.ingress.receiver import Receiver
from testing.github.oidc_issuer import Issuer
from testing.receiver.receiver_inputs import open_store, receiver_of


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", help="N/M: the Nth of M shares of the files, chosen by their names")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the files of other shares; every file is in exactly one."""
    if not (share := config.getoption("--share")):
        return
    number, _, count = share.partition("/")
    mine = [one for one in items if in_share(one.nodeid.partition("::")[0], int(number), int(count))]
    config.hook.pytest_deselected(items=[one for one in items if one not in mine])
    items[:] = mine


def in_share(file: str, number: int, count: int) -> bool:
    """True if the file is in the share `number` of `count`, counted from 1."""
    return zlib.crc32(file.encode()) % count == number - 1


# Git names its repository to hooks and `git rebase --exec`; tests that make repositories would write there.
for _name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
    os.environ.pop(_name, None)
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


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
def receiver(store: SqliteStore, issuer: Issuer, tmp_path: Path) -> Receiver:
    return receiver_of(store, verify_token=OidcVerifier(issuer.url, tmp_path / "jwks.json").verify_token)
