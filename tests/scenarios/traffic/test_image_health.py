"""Health checks that images declare: the gate waits for them as the engine does."""

from __future__ import annotations

import pytest

from testing.load.http_load import Load
from testing.stage import Published, Stage
from tests.scenarios.deploys.test_compose_shapes import of, ship

pytestmark = pytest.mark.engine
# The port opens at once; `/health` says 503 for the first SICK milliseconds, and so does everything else.
SLOW = """\
import http from 'node:http';
const begun = Date.now(), sick = Number(process.env.SICK || 0);
const server = http.createServer((_, response) => {
  response.statusCode = Date.now() - begun < sick ? 503 : 200;
  response.end(JSON.stringify({ env: process.env.MARK }) + '\\n');
});
server.listen(3001);
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
"""
DOCKERFILE = """\
FROM node:20-alpine
WORKDIR /app
COPY . .
HEALTHCHECK --interval=1s --timeout=10s --retries=3 --start-period=30s CMD {command}
CMD ["node", "server.js"]
"""
WGET = "wget -qO- http://127.0.0.1:3001/health"
SCRIPT = "node check.js"  # the gate cannot make its request: Docker's word alone counts
CHECKER = """\
const http = require('http');
http.get('http://127.0.0.1:3001/health', (answer) => process.exit(answer.statusCode === 200 ? 0 : 1))
  .on('error', () => process.exit(1));
"""
WEB = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}", SICK: "{sick}"}}
        ports: ["{{port}}:3001"]
        {more}
"""


def publish(stage: Stage, check: str) -> Published:
    stage.source.write("backend/server.js", SLOW)
    stage.source.write("backend/check.cjs", CHECKER)
    stage.source.write("backend/Dockerfile", DOCKERFILE.format(command=check.replace(".js", ".cjs")))
    return stage.publish("1.0.0")


def web(mark: str, sick: int = 0, more: str = "") -> str:
    return WEB.format(mark=mark, sick=sick, more=more)


@pytest.mark.case("H04")
@pytest.mark.alone
@pytest.mark.long
@pytest.mark.parametrize("check", [WGET, SCRIPT], ids=["request", "script"])
def test_a_release_serves_when_its_images_check_is_healthy_and_never_before(stage: Stage, check: str) -> None:
    release = publish(stage, check)
    assert ship(stage, release, web("one"))["status"] == "success"
    with Load(f"http://127.0.0.1:{stage.api_port}/", new=20, kept=20) as load:
        late = ship(stage, release, web("two", sick=8000))
        assert late["status"] == "success", late["reason"]
        bad = ship(stage, release, web("three", sick=10**9, more="healthcheck: {start_period: 1s}"))
        assert stage.cli("rollback", "shop").returncode == 0
    assert bad["status"] == "failure" and "its health check failed" in str(bad["reason"]), bad["reason"]
    assert load.report.losses() == []
    assert load.report.first('"three"') is None
    assert len(of(stage, "web")) == 1
    assert load.report.first('"two"') and load.report.samples[-1].text.startswith('{"env":"one"}')


@pytest.mark.case("H04")
@pytest.mark.parametrize("own", ["{interval: 2s, retries: 2}", "{start_period: 20s}"])
def test_a_check_of_the_file_without_a_test_has_its_images(stage: Stage, own: str) -> None:
    release = publish(stage, SCRIPT)
    assert ship(stage, release, web("one", sick=4000, more=f"healthcheck: {own}"))["status"] == "success"
    (made,) = of(stage, "web")
    assert made["State"]["Health"]["Status"] == "healthy"  # type: ignore[index]


@pytest.mark.case("H04")
def test_a_check_that_the_file_disables_is_not_waited_for(stage: Stage) -> None:
    release = publish(stage, SCRIPT)
    ended = ship(stage, release, web("one", sick=10**9, more="healthcheck: {disable: true}"))
    assert ended["status"] == "success", ended["reason"]


@pytest.mark.case("H04")
@pytest.mark.long
def test_a_worker_is_given_the_time_that_its_images_check_takes(stage: Stage) -> None:
    """The first check comes after 65 s, later than the gate of a service without one."""
    above = DOCKERFILE.split("HEALTHCHECK", maxsplit=1)[0]
    stage.source.write("backend/server.js", "setInterval(() => {}, 1000);\n")
    check = 'HEALTHCHECK --interval=65s CMD true\nCMD ["node", "server.js"]\n'
    stage.source.write("backend/Dockerfile", f"{above}{check}")
    release = stage.publish("1.0.0")
    ended = ship(stage, release, "\n    services:\n      worker:\n        build: backend\n")
    assert ended["status"] == "success", ended["reason"]
