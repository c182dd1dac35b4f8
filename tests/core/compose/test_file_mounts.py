from __future__ import annotations

import hashlib
from typing import Any

import pytest

from deployer.core.compose.file_mounts import refuse_data_files, written_files
from deployer.core.compose.rendering import FILES, FOLDER
from deployer.core.errors import ComposeRejected
from deployer.core.model import ObservedState
from deployer.core.rollout.desired_state import assemble
from deployer.core.rollout.planner import plan_rollout
from testing.compose_models import EDGE_SETTINGS, image

FOLDER_PATH = "/s/bundles/1"


def services(path: str, read_only: bool = False) -> dict[str, Any]:
    mount = {"type": "bind", "source": f"{FOLDER_PATH}/{path}", "target": "/x", "read_only": read_only}
    named = {"type": "volume", "source": "data", "target": "/data"}
    return {"web": {"volumes": [named, mount]}}


def digests(path: str, text: str) -> dict[str, str]:
    return {f"{FOLDER_PATH}/{path}": hashlib.sha256(text.encode()).hexdigest()}


@pytest.mark.case("H09")
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("acme.json", "{\n}"),
        ("traefik/acme.json", "{}"),
        ("app.db", "x"),
        ("data/app.SQLITE3", "x"),
        ("app.sqlite-wal", "x"),
        ("access.log", "x"),
        ("run/app.pid", "1"),
        ("settings.json", "{}\n"),
        ("list.json", "[]"),
        ("touched", ""),
        ("touched.txt", "\r\n"),
    ],
)
def test_a_file_that_is_there_to_be_filled_is_refused(path: str, text: str) -> None:
    with pytest.raises(ComposeRejected, match=f"service web mounts {path} to write it") as refused:
        refuse_data_files(services(path), FOLDER_PATH, digests(path, text))
    assert refused.value.hint and "named volume" in refused.value.hint
    refuse_data_files(services(path, read_only=True), FOLDER_PATH, digests(path, text))


@pytest.mark.case("H09")
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nginx.conf", "events {}"),
        ("conf/my.cnf", "[mysqld]"),
        ("init.sql", "create table x ();"),
        ("package.json", '{"name": "x"}'),
        ("prometheus.yml", "global: {}"),
        ("logging.conf", "x"),
        ("entrypoint.sh", "#!/bin/sh"),
    ],
)
def test_a_configuration_without_ro_deploys_and_the_plan_says_how_it_is_mounted(path: str, text: str) -> None:
    tables, files = services(path), digests(path, text)
    refuse_data_files(tables, FOLDER_PATH, files)
    assert written_files(tables["web"], FOLDER_PATH, files) == (path,)
    rendered = {"services": tables, FOLDER: FOLDER_PATH, FILES: files}
    app = assemble(rendered, {"web": image("web", "a")}, "shop", EDGE_SETTINGS)
    (create,) = [step for step in plan_rollout(app, ObservedState(())).steps if step.verb == "create"]
    assert create.cause == f"no replica yet; {path} is mounted read-only: it is the repository's"


@pytest.mark.case("H09")
def test_mounts_of_the_server_and_of_other_kinds_are_not_the_repositorys() -> None:
    assert written_files(services("a.db")["web"], FOLDER_PATH, {}) == ()
    refuse_data_files({"web": {}}, FOLDER_PATH, digests("a.db", ""))
