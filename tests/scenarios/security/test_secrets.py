"""No secret comes to light, and the search that says so finds one wherever it is planted."""

from __future__ import annotations

import base64
import json
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from deployer.core.rollout.desired_state import EDGE
from testing.secret_scanner import find_canaries, forms, holds, places
from testing.stage import CANARIES, REPOSITORY, Stage, docker, wait_for


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage(witness=True) as made:
        yield made


@pytest.mark.parametrize("before", ["", "a", "ab", "ab:"])
@pytest.mark.parametrize(
    "turned",
    [
        lambda text: text,
        lambda text: json.dumps({"said": f"\n{text}"}),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(f"\xff\xfe{text}\xff".encode()).decode(),
        lambda text: base64.encodebytes(text.encode() * 9).decode(),
        lambda text: json.dumps({"auth": base64.encodebytes(text.encode() * 9).decode()}),
        lambda text: text.encode().hex(),
        lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    ],
)
def test_a_secret_is_known_in_every_form(turned: Callable[[str], str], before: str) -> None:
    secret = 'p"ss/w?rd>~ö-long'
    assert holds(turned(before + secret).encode(), forms(secret))
    assert not holds(turned(before + secret[::-1]).encode(), forms(secret))


@pytest.mark.case("D06")
@pytest.mark.engine
def test_no_secret_is_found_and_each_that_is_planted_is(stage: Stage) -> None:
    """The action, a webhook, people and the command at work; then a leak of each kind."""
    stage.source.release("1.0.0")
    run = stage.act("push", "main")
    assert run.outcome == "success", run.log[-2000:]
    token = stage.token("read,redeploy")
    status, answer = stage.post("/api/v1/apps/shop/production/redeploy", token)
    assert status == 202
    stage.finished(answer["id"], token)
    assert stage.cli("history", "shop").returncode == 0
    wait_for("GitHub to be told", lambda: _is_told(stage, 2), 20)
    assert find_canaries(stage)[0] == []
    assert {place.kind for place in places(stage)} == set(LEAKS), "there is something in each kind of place"
    secrets = [
        CANARIES["variable"],
        token,
        stage.issuer.minted[0],
        stage.issuer.request_token,
        answer["read_token"],
    ]
    planted: set[str] = set()
    for number, (kind, plant) in enumerate(LEAKS.items()):
        plant(stage, secrets[number % len(secrets)])
        planted.add(kind)
        found = wait_for(f"the leak, {kind}", lambda: find_canaries(stage)[0], 5)
        assert {_kind(hit) for hit in found} == planted


def _kind(hit: str) -> str:
    return next(kind for kind in LEAKS if hit.startswith(kind))


def _is_told(stage: Stage, deployments: int) -> bool:
    made = stage.github.deployments(REPOSITORY)
    return len(made) == deployments and all(len(stage.github.statuses(one["id"])) == 2 for one in made)


def _log(stage: Stage, secret: str) -> None:
    with stage.log.open("a", encoding="utf-8") as log:
        log.write(json.dumps({"message": f"login failed: {secret}"}) + "\n")


def _answer(stage: Stage, secret: str) -> None:
    """A server that quotes what it was sent, in the receiver's place."""
    stage.github.break_with("echo", times=1)
    receiver, stage.port = stage.port, int(stage.github.url.rpartition(":")[2])
    stage.get("/", token=secret)
    stage.port = receiver


def _output(stage: Stage, secret: str) -> None:
    stage.logs.append(f"Authorization: basic {base64.b64encode(f'ada:{secret}'.encode()).decode()}\n")


def _command(stage: Stage, secret: str) -> None:
    """A wrong setting, which the command quotes."""
    path = stage.folder / "wrong.toml"
    path.write_text(f'server.url = "{stage.url}"\n[apps."{secret}!"]\n', encoding="utf-8")
    assert stage.cli("--config", str(path), "config", "check").returncode == 1


def _argument(stage: Stage, secret: str) -> None:
    subprocess.run([sys.executable, "-c", "import time; time.sleep(1)", f"--token={secret}"], check=True)


def _call(stage: Stage, secret: str) -> None:
    """A real call, which GitHub's stand-in refuses and keeps."""
    body = json.dumps({"description": secret}).encode()
    url = f"{stage.github.url}/repos/{REPOSITORY}/deployments/1/statuses"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=10)


def _file(stage: Stage, secret: str) -> None:
    (stage.state / "projects" / f".compose.yaml.{stage.project}").write_text(secret, encoding="utf-8")


def _row(stage: Stage, secret: str) -> None:
    with sqlite3.connect(stage.state / "deployer.db") as database:
        database.execute(
            "INSERT INTO event SELECT deployment_id, 999, 0, 'log', ? FROM event LIMIT 1",
            (base64.urlsafe_b64encode(secret.encode()).decode(),),
        )


def _container(stage: Stage, secret: str) -> None:
    """A second edge, with the secret in its environment."""
    labels = {"com.docker.compose.project": stage.project, "deployer.service": EDGE}
    options = [f"--label={name}={value}" for name, value in labels.items()]
    image = stage.containers()[0]["Image"]
    docker("create", "--name", f"{stage.project}-leak", f"--env=TOKEN={secret}", *options, image)


LEAKS: dict[str, Callable[[Stage, str], None]] = {
    "server log": _log,
    "answer": _answer,
    "action's output": _output,
    "command's output": _command,
    "process arguments": _argument,
    "call to GitHub": _call,
    "file": _file,
    "row": _row,
    "container": _container,
}


@pytest.mark.engine
def test_what_a_crashing_container_prints_of_its_variables_appears_nowhere(stage: Stage) -> None:
    stage.deploy(stage.publish("1.0.0"))
    crash = """
console.log(`allowed origin ${process.env.CORS_ORIGIN}`);
throw new Error(`cannot use ${JSON.stringify(process.env)}`);
"""
    stage.source.write("backend/server.js", crash)
    status, answer = stage.request(stage.publish("2.0.0"))
    assert status == 202
    ended = stage.finished(answer["id"], answer["read_token"])
    assert ended["status"] == "failure" and "[gate-failed]" in ended["reason"], ended
    _, told = stage.get(f"/api/v1/deployments/{answer['id']}?after=0", answer["read_token"])
    lines = "".join(event["text"] for event in told["events"])
    assert "allowed origin [redacted]" in lines and "cannot use" in lines, "what it printed is shown"
    wait_for("GitHub to be told", lambda: _is_told(stage, 2), 20)
    found, looked = find_canaries(stage)
    assert (found, looked > 50) == ([], True)
