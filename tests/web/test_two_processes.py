"""The receiver as two processes: one answers and has no engine and no key, one deploys and has no port."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployer import __version__, bootstrap
from deployer.adapters.system.file_lock import is_held
from deployer.bootstrap import build, build_web_server
from deployer.core.errors import Busy, ConfigError, StoreUnavailable
from deployer.core.requests.deploy_request import audience_of
from testing.docker.docker_cli import ROOT, wait_for
from testing.github.oidc_issuer import Issuer
from testing.github.rest_api import GitHubServer
from testing.receiver.receiver_inputs import REVISION, URL, deploy_request, encoded
from tests.web.test_process import Process

ENDED = {"inactive", "failure", "error"}
SETTINGS = """
server = {{ url = "https://deploy.example.com", state = "{state}", store = "{store}" }}
[apps.shop]
repository = "acme/shop"
repository-id = 4711
owner-id = 42
environments.production = {{ trust-tags = true }}
"""


@dataclass
class Pair:
    """Both halves on one store, whose folder a group shares; as two users they run in the scenario."""

    web: Process
    worker: Process

    @property
    def store(self) -> Path:
        return Path(self.web.store)

    def status(self, id: str) -> str:
        return str(self.web.call("GET", f"/api/v1/deployments/{id}", bearer=self.tokens[id])[1]["status"])

    def ask(self, run: int) -> str:
        answer = self.web.request(run)
        self.tokens[answer["id"]] = answer["read_token"]
        return str(answer["id"])

    def __post_init__(self) -> None:
        self.tokens: dict[str, str] = {}


@pytest.fixture
def pair() -> Iterator[Pair]:
    with (
        tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as made_folder,
        Issuer() as issuer,
        GitHubServer({"acme/shop": {REVISION: {}}}, token="a-token-for-github") as github,
    ):
        folder = Path(made_folder)
        store = folder / "store"
        store.mkdir()
        store.chmod(0o2770)
        halves = []
        for name, verb in (("b", "web"), ("w", "worker")):  # a socket's path must be short
            (folder / name).mkdir()
            halves.append(Process(folder / name, issuer, github, verb=verb, store=str(store)))
        made = Pair(*halves)
        yield made
        for half in halves:
            half.end()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dpl-", dir="/tmp") as name:  # a socket's path must be short
        yield Path(name)


@pytest.fixture
def config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bootstrap, "_TAKEOVER", 0.1)
    monkeypatch.setattr(bootstrap, "_FIRST_START", 0.1)
    path = folder / "config.toml"
    path.write_text(SETTINGS.format(state=folder / "state", store=folder / "store"), encoding="utf-8")
    return path


def test_the_half_that_answers_loads_nothing_that_speaks_to_an_engine_or_to_github(config: Path) -> None:
    build(config).close()
    program = (
        "import sys; from pathlib import Path; from deployer.cli import main; import deployer.bootstrap as b;"
        f"reception = b.build_web_server(Path({str(config)!r})); reception.close();"
        "print(*sorted({name.split('.')[0] for name in sys.modules} & {'docker', 'github', 'yaml'}),"
        " *sorted(n for n in sys.modules if n in ('deployer.io.subprocesses',"
        " 'deployer.adapters.docker.engine')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_what_the_web_takes_waits_for_a_worker_and_survives_both_being_killed(pair: Pair) -> None:
    pair.worker.compose = "exec sleep 300"
    pair.web.start()  # first, on a store that nobody has made yet
    pair.worker.start()
    wait_for("the web's answer", pair.web.answers, 30)
    healthy = (200, {"status": "OK", "version": __version__})
    wait_for("the worker", lambda: pair.web.call("GET", "/health") == healthy, 10)
    pair.worker.tell(signal.SIGKILL)
    pair.worker.wait()
    wait_for("the missing worker", lambda: pair.web.call("GET", "/health")[1]["status"] == "Degraded", 10)
    status, table = pair.web.call("GET", "/health")
    assert status == 200 and "no worker" in table["message"]
    id = pair.ask(1)
    pair.web.tell(signal.SIGKILL)
    pair.web.wait()
    pair.web.start()
    wait_for("the web's second life", pair.web.answers, 30)
    assert pair.status(id) == "queued"

    asked = time.monotonic()
    pair.worker.start()
    wait_for("the claim", lambda: pair.status(id) == "in_progress", 30)
    pair.worker.tell(signal.SIGKILL)  # in the middle of it, while the web lives
    pair.worker.wait()
    newer = pair.ask(2)
    assert (pair.status(id), pair.status(newer)) == ("in_progress", "queued")
    pair.worker.end()  # its child as well, which holds the project
    pair.worker.compose = "exit 1"
    pair.worker.start()
    wait_for(
        "both ends", lambda: {pair.status(id), pair.status(newer)} <= {"inactive", "failure", "error"}, 30
    )
    assert time.monotonic() - asked < 60 and pair.status(newer) != "queued"


def test_new_work_is_begun_at_once_and_a_signal_ends_both(pair: Pair) -> None:
    pair.worker.compose = "exit 1"
    pair.worker.start()
    pair.web.start()
    wait_for("the web's answer", pair.web.answers, 30)
    id = pair.ask(1)
    wait_for("its end", lambda: pair.status(id) in ("failure", "error"), 10)
    for half in (pair.web, pair.worker):
        half.tell(signal.SIGTERM)
        assert half.wait() == 0, half.log
    assert "serving" not in pair.worker.log and "working on the queue" in pair.worker.log


def test_the_web_reads_nothing_but_its_settings_and_the_store(pair: Pair) -> None:
    """Neither the key nor GitHub's token, which are the worker's."""
    pair.worker.start()
    wait_for("the slot", (pair.store / "slot.pub").exists, 20)
    pair.web.start()
    (pair.web.folder / "github.secret").unlink()
    wait_for("the web's answer", pair.web.answers, 30)
    assert not pair.web.state.exists()
    assert pair.ask(1)


def test_a_plan_is_the_workers_and_comes_back_through_the_web(pair: Pair) -> None:
    """Without an engine here: the answer that only the worker can give is Compose's refusal."""
    pair.worker.compose = "echo 'the worker was asked' >&2; exit 1"
    for half in (pair.worker, pair.web):
        half.environment = "{ plans = true }"
        half.start()
    wait_for("the web's answer", pair.web.answers, 60)
    pair.web.issuer.claims = {"event_name": "pull_request", "base_ref": "main", "ref": "refs/pull/7/merge"}
    raw, _ = encoded(deploy_request())
    status, table = pair.web.call(
        "POST", "/api/v1/plans", raw, bearer=pair.web.issuer.mint(audience_of(URL, raw))
    )
    assert (status, table["error"]) == (422, "compose-rejected"), table
    assert "the worker was asked" in table["message"]


# --- only one of each


def test_one_web_and_one_worker_and_no_second_of_either(config: Path) -> None:
    first, second, web_server = build(config), build(config), build_web_server(config)
    with first.only_worker(), web_server.only_web():
        assert web_server.has_worker()
        with pytest.raises(Busy, match=r"holds worker\.lock") as refused, second.only_worker():
            pass
        assert "deployer worker" in refused.value.hint
        with pytest.raises(Busy, match=r"holds web\.lock") as refused, second.only_web():
            pass
        assert "deployer web" in refused.value.hint
    with second.only_worker(), second.only_web():
        assert is_held(Path(second.config.store) / "web.lock")
    # A child that asks for Compose's version has the lock's descriptor until its program begins.
    wait_for("the end of the worker's lock", lambda: not web_server.has_worker(), 20)
    for parts in (first, second, web_server):
        parts.close()


def test_a_web_without_a_worker_that_ever_ran_says_what_to_start(config: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"slot.pub") as refused:
        build_web_server(config)
    assert "deployer worker" in refused.value.hint


def test_a_store_that_everybody_may_enter_is_refused(config: Path, folder: Path) -> None:
    (folder / "store").mkdir()
    (folder / "store").chmod(0o2775)
    for build_half in (build, build_web_server):
        with pytest.raises(ConfigError, match=r"server.store") as refused:
            build_half(config)
        assert "chmod 2770" in refused.value.hint
