"""One application of each hard shape through its life on the real engine: a first deploy, a change, a bad
release and a rollback. It writes lines to a volume, which are counted after each of them.

Lives of other shapes: two applications of one repository in `test_monorepo.py`, volumes without a name in
`test_nameless_volumes.py`, a project's own name in `test_project_names.py`.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from _pytest.mark import ParameterSet

from deployer.core.model import Bundle
from testing.docker.docker_cli import wait_for
from testing.stage import Published, Stage, docker
from tests.adapters.docker.compose.test_compose_data_files import DATA
from tests.scenarios.data.test_nameless_volumes import DOCKERFILE, KEEPER
from tests.scenarios.deploys.test_compose_shapes import of, written

pytestmark = pytest.mark.engine
FIRST, CHANGE, BAD, BACK = "one", "two", "three", "one again"

# BROKEN ends the program later than a copy without data is tried: the bad release meets the data.
WEB = """
    services:
      web:
        build: backend
        environment: {MARK: "MARKED", BROKEN: "ENDS", FOLDER: /rows}
        stop_grace_period: 2s
        volumes: [VOLUMES]
        MORE
"""
PORTS = 'ports: ["{port}:3001"]'
CHECK = (
    'healthcheck: {test: "wget -qO- http://127.0.0.1:3001/", interval: 1s, start_period: 20s,'
    " start_interval: 250ms}"
)
# Of the image, and sick for ever in the bad release: its port is open, and its answers are 503.
HEALTHCHECK = (
    "HEALTHCHECK --interval=1s --start-period=2s --retries=2 CMD"
    ' ["sh", "-c", "wget -qO- http://127.0.0.1:3001/ && [ -z \\"$SICK\\" ]"]'
)
API = """
      api:
        build: backend
        container_name: PROJECT-api
        environment: {MARK: other, FOLDER: /rows}
        ports: ["127.0.0.2:{port}:3001"]
        volumes: ["others:/rows"]
"""
WORKER = """
      worker:
        image: NAMESPACE/shop-backend
        command: ["node", "-e", "setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0))"]
"""
MIGRATE = """
      migrate:
        build: backend
        command: ["node", "-e", "require('fs').appendFileSync('/rows/runs', 'MARKED,')"]
        volumes: ["rows:/rows"]
"""
FRONTEND = """
      frontend:
        build: frontend
        ports: ["{port}:80"]
"""
SITE = "server { listen 80; location / { proxy_pass http://web:3001; } }\n"
FILES = {name: DATA[name] for name in ("server.js", "tsconfig.json", "unbound.conf", "deploy.sh")}


class Life:
    """One application on its stage."""

    def __init__(self, stage: Stage, shape: Shape) -> None:
        self.stage, self.shape = stage, shape
        self.first: dict[str, str] = {}  # service → the id of its first container
        stage.source.write("backend/server.js", KEEPER)
        stage.source.write("backend/Dockerfile", DOCKERFILE.format(volume=shape.dockerfile))
        stage.source.write("frontend/nginx.conf", SITE)
        self.release: Published = stage.publish("1.0.0")

    def deploy(self, mark: str, *, bad: bool = False) -> dict[str, object]:
        names = {"web": "backend", "api": "backend", "migrate": "backend", "frontend": "frontend"}
        text = self.shape.compose.replace("MARKED", mark).replace("ENDS", "yes" if bad else "")
        text = text.replace("PROJECT", self.stage.project).replace("NAMESPACE", self.stage.namespace)
        text = written(self.stage, text)
        built = {one: self.release.images[of] for one, of in names.items() if f"\n  {one}:" in text}
        status, answer = self.stage.request(
            self.release,
            images=built,
            bundle=Bundle("compose.yaml", {"compose.yaml": text, **self.shape.files}),
        )
        assert status == 202, answer
        return self.stage.finished(answer["id"], answer["read_token"])

    def append(self, host: str = "127.0.0.1") -> tuple[int, str]:
        """How many lines there are with one more, and who wrote it."""
        told: list[tuple[int, str]] = []

        def answered() -> bool:
            url = f"http://{host}:{self.stage.api_port}/append"
            with suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
                found = json.loads(answer.read())
                told.append((int(found["lines"]), str(found["mark"])))
            return bool(told)

        wait_for("an answer", answered, 20)
        return told[0]

    def inside(self, *command: str) -> str:
        (web,) = of(self.stage, "web")
        return docker("exec", str(web["Id"]), *command)


@dataclass(frozen=True)
class Shape:
    """`sees` looks at the running application after each release."""

    compose: str
    sees: Callable[[Life, str], None]
    files: Mapping[str, str] = field(default_factory=dict)
    dockerfile: str = ""


def compose(*more: str, others: str = "", volumes: str = '"rows:/rows"') -> str:
    text = WEB.replace("VOLUMES", volumes).replace("MORE", "\n        ".join(more)) + others
    return f"{text}    volumes: {{rows: {{}}, others: {{}}}}\n"


def sees_the_other_untouched(life: Life, moment: str) -> None:
    (api,) = of(life.stage, "api")
    assert life.first.setdefault("api", str(api["Id"])) == api["Id"]
    lines = [FIRST, CHANGE, BAD, BACK].index(moment) + 1
    assert life.append("127.0.0.2") == (lines, "other")


def sees_the_files(life: Life, _moment: str) -> None:
    for name, text in FILES.items():
        assert life.inside("cat", f"/etc/{name}") == text


def sees_it_healthy(life: Life, _moment: str) -> None:
    (web,) = of(life.stage, "web")
    assert web["State"]["Health"]["Status"] == "healthy"  # type: ignore[index]


def sees_one_build(life: Life, moment: str) -> None:
    """Each release after the first has a build of its own."""
    (web,), (worker,) = of(life.stage, "web"), of(life.stage, "worker")
    assert worker["Image"] == web["Image"]
    assert (life.first.setdefault("image", str(web["Image"])) == web["Image"]) == (moment in (FIRST, BACK))


def sees_the_runs(life: Life, moment: str) -> None:
    runs = {FIRST: "one,", CHANGE: "one,two,"}.get(moment, "one,two,three,")
    assert life.inside("cat", "/rows/runs") == runs, "none for the release that came back"


def sees_one_address(life: Life, _moment: str) -> None:
    (frontend,) = of(life.stage, "frontend")
    told = docker("exec", str(frontend["Id"]), "getent", "ahostsv4", "web")
    assert len({line.split()[0] for line in told.splitlines()}) == 1


def sees_a_file_that_nobody_writes(life: Life, _moment: str) -> None:
    wrote = life.inside("sh", "-c", "echo x >> /etc/site.conf || cat /etc/site.conf")
    assert wrote == "a: b\n"


def shapes() -> list[ParameterSet]:
    """Two of them in each run of the suite, as nothing else deploys theirs."""
    mounted = ", ".join(["rows:/rows", *(f"./{name}:/etc/{name}:ro" for name in FILES)])
    waits = "depends_on: {migrate: {condition: service_completed_successfully}}"
    made = {
        "H01": Shape(
            compose('ports: ["127.0.0.1:{port}:3001"]', CHECK, others=API), sees_the_other_untouched
        ),
        "H03": Shape(compose(PORTS, CHECK, volumes=mounted), sees_the_files, FILES),
        "H04": Shape(
            compose(PORTS).replace('BROKEN: "ENDS"', 'SICK: "ENDS"'), sees_it_healthy, dockerfile=HEALTHCHECK
        ),
        "H05": Shape(compose("image: NAMESPACE/shop-backend", PORTS, CHECK, others=WORKER), sees_one_build),
        "H07": Shape(compose(PORTS, CHECK, waits, others=MIGRATE), sees_the_runs),
        "H08": Shape(compose(others=FRONTEND), sees_one_address, dockerfile="EXPOSE 3001"),
        "H09": Shape(
            compose(PORTS, CHECK, volumes='"rows:/rows", "./site.conf:/etc/site.conf"'),
            sees_a_file_that_nobody_writes,
            {"site.conf": "a: b\n"},
        ),
    }
    marks = {row: () if row in ("H03", "H05") else (pytest.mark.long,) for row in made}
    return [
        pytest.param(one, id=row, marks=(pytest.mark.case(row), *marks[row])) for row, one in made.items()
    ]


@pytest.mark.parametrize("shape", shapes())
def test_no_line_is_lost_by_a_change_a_bad_release_or_a_rollback(stage: Stage, shape: Shape) -> None:
    life = Life(stage, shape)
    first = life.deploy("one")
    assert first["status"] == "success", first["reason"]
    assert [life.append() for _ in range(3)] == [(1, "one"), (2, "one"), (3, "one")]
    shape.sees(life, FIRST)
    if shape.sees is sees_one_build:
        life.release = stage.publish("2.0.0")
    changed = life.deploy("two")
    assert changed["status"] == "success", changed["reason"]
    assert life.append() == (4, "two")
    shape.sees(life, CHANGE)
    bad = life.deploy("three", bad=True)
    assert bad["status"] == "failure" and "serves as before" in str(bad["reason"]), bad
    assert life.append() == (5, "two")
    shape.sees(life, BAD)
    assert stage.cli("rollback", "shop").returncode == 0
    assert life.append() == (6, "one")
    shape.sees(life, BACK)
    assert stage.cli("status").returncode == 0
