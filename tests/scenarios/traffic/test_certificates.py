"""TLS that ends at the edge: two names, renewal under load, and certificates that are wrong."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
from collections.abc import Iterator

import pytest

from testing.certificates import Authority, put
from testing.docker.docker_cli import service_of
from testing.load.http_load import Load
from testing.stage import Published, Stage, docker, wait_for
from tests.scenarios.deploys.test_compose_shapes import of, ship

pytestmark = pytest.mark.engine
SHOP, DOCS = "shop.example.test", "docs.example.test"
SERVER = """\
import http from 'node:http';
const server = http.createServer((request, response) => response.end(JSON.stringify(
  { env: process.env.MARK, proto: request.headers['x-forwarded-proto'] || 'none' }) + '\\n'));
server.listen(3001);
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
"""
COMPOSE = """
    services:
      web:
        build: backend
        environment: {{MARK: "{mark}"}}
        ports:
          - "{{port}}:3001"
          - {{target: 3001, published: "{secure}", app_protocol: https}}
        {{check}}
"""


@pytest.fixture
def safe(stage: Stage) -> Iterator[Safe]:
    stage.source.write("backend/server.js", SERVER)
    release = stage.publish("1.0.0")
    stage.reconfigure(
        f'url = "{stage.web}"\n', f'url = "{stage.web}"\ncertificates = "{stage.folder}/certificates"\n'
    )
    yield Safe(stage, release)


class Safe:
    """A service behind TLS, its users' trust, and its folder of certificates."""

    def __init__(self, stage: Stage, release: Published) -> None:
        self.stage = stage
        self.release = release
        self.folder = stage.folder / "certificates"
        self.authority = Authority(stage.folder / "authority")
        self.trust = ssl.create_default_context(cafile=str(self.authority.root))

    def renew(self, name: str) -> None:
        put(self.folder / f"{name}.pem", *self.authority.issue(name))

    def deploy(self, mark: str, secure: bool = True) -> dict[str, object]:
        text = COMPOSE.format(mark=mark, secure=self.stage.web_port)
        if not secure:
            text = text.replace(", app_protocol: https", "")
        return ship(self.stage, self.release, text)

    def serial(self, name: str) -> str:
        """Of the certificate that who asks for `name` is shown; it must be one of the authority's for it."""
        with (
            socket.create_connection(("127.0.0.1", self.stage.web_port), timeout=10) as raw,
            self.trust.wrap_socket(raw, server_hostname=name) as secure,
        ):
            shown = secure.getpeercert()
            assert shown
            return str(shown["serialNumber"])

    def ask(self, name: str) -> dict[str, str]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.stage.web_port, timeout=10, context=_blind()
        )
        try:
            connection.request("GET", "/", headers={"Host": name})
            body: dict[str, str] = json.loads(connection.getresponse().read())
            return body
        finally:
            connection.close()

    @property
    def log(self) -> str:
        return self.stage.log.read_text(encoding="utf-8")


def _blind() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.alone
def test_tls_ends_at_the_edge_and_certificates_are_renewed_without_a_lost_request(safe: Safe) -> None:
    for name in (SHOP, DOCS):
        safe.renew(name)
    first = safe.deploy("one")
    assert first["status"] == "success", first["reason"]
    assert safe.ask(SHOP) == {"env": "one", "proto": "https"}
    before = {name: safe.serial(name) for name in (SHOP, DOCS)}
    assert before[SHOP] != before[DOCS]
    with (
        Load(f"https://127.0.0.1:{safe.stage.web_port}/", new=50) as secure,
        Load(f"http://127.0.0.1:{safe.stage.api_port}/") as plain,
    ):
        safe.renew(SHOP)
        wait_for("the renewed certificate", lambda: safe.serial(SHOP) != before[SHOP])
        assert safe.serial(DOCS) == before[DOCS]
        ended = safe.deploy("two")
        assert ended["status"] == "success", ended["reason"]
    for load in (secure, plain):
        assert load.report.losses() == []
        assert load.report.first('"one"') is not None and load.report.first('"two"') is not None
    measured = ended["measured"]
    assert isinstance(measured, dict) and measured["requests"] > 0 and measured["failed"] == 0


@pytest.mark.long
def test_wrong_certificates_are_told_and_those_before_go_on(safe: Safe) -> None:
    without = safe.deploy("zero")
    assert without["status"] == "failure" and "[certificate-invalid]" in str(without["reason"]), without
    assert "is no folder" in str(without["reason"]) and not of(safe.stage, "web")
    safe.renew(SHOP)
    unused = safe.deploy("zero", secure=False)
    assert unused["status"] == "failure" and "no published port takes TLS" in str(unused["reason"]), unused
    assert safe.deploy("one")["status"] == "success"
    before = safe.serial(SHOP)
    right = (safe.folder / f"{SHOP}.pem").read_text()
    put(safe.folder / f"{SHOP}.pem", safe.authority.issue(SHOP)[0])  # renewed, and its key forgotten
    wait_for("the error in the log", lambda: "has no private key that fits [cert" in safe.log)
    assert safe.serial(SHOP) == before
    refused = safe.deploy("two")
    assert refused["status"] == "failure" and "[certificate-invalid]" in str(refused["reason"]), refused
    (edge,) = (one["Id"] for one in safe.stage.containers() if service_of(one) == "deployer-edge")
    docker("restart", edge)
    wait_for("the edge again", lambda: _answers(safe, before))
    assert safe.ask(SHOP)["env"] == "one"
    shutil.rmtree(safe.folder)
    assert safe.stage.cli("redeploy", "shop").returncode != 0
    assert safe.serial(SHOP) == before
    put(safe.folder / f"{SHOP}.pem", right)
    safe.renew(DOCS)
    assert safe.deploy("two")["status"] == "success"
    assert safe.serial(DOCS) != before == safe.serial(SHOP)


def _answers(safe: Safe, serial: str) -> bool:
    try:
        return safe.serial(SHOP) == serial
    except OSError:
        return False
