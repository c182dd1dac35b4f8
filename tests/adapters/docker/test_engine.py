"""The engine adapter: the real engine where it can be made to fail, a fake one where it cannot."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import resource
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import docker as sdk
import pytest

from deployer.adapters.docker.engine import Engine
from deployer.core.docker.engine_requests import PermittedContainer, PermittedTag
from deployer.core.errors import (
    ContainerRefused,
    DeployerError,
    EngineUnavailable,
    ImageNotFound,
    RegistryUnavailable,
)
from deployer.core.images import Image
from deployer.core.model import ContainerState, Credentials, Health, Replica
from testing.docker.docker_cli import ROOT, docker, free_port, registry

IMAGE = Image("ghcr.io/acme/shop", "sha256:" + "ab" * 32)
NGINX = "nginx:alpine"
SECRET = "canary-5f3a9c71"


def replica(id: str, name: str = "shop-web-1") -> Replica:
    return Replica(id, name, "web", "spec", ContainerState.CREATED, Health.NONE, "", "")


def quiet(text: str) -> None:
    """For progress that nobody reads."""


# --- a fake engine


AuditEvent = Callable[["Call"], None]


class Call(BaseHTTPRequestHandler):
    """One call of the Docker API; what the fake does with it is the test's."""

    protocol_version = "HTTP/1.1"
    server: FakeEngine

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def address_string(self) -> str:
        return "unix"

    def do_GET(self) -> None:
        self.server.calls.append(self.path)
        if self.path.endswith("/version"):
            self.answer({"ApiVersion": "1.44"})
        else:
            self.server.act(self)

    do_POST = do_DELETE = do_GET

    def answer(self, body: Any, status: int = 200) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def begin_stream(self, *lines: object) -> None:
        """Chunked, as the engine streams progress; without an end."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.send_chunk(json.dumps(line).encode() + b"\r\n")

    def send_chunk(self, raw: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))

    def cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class FakeEngine(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Call)
        self.path = path
        self.calls: list[str] = []
        self.over = threading.Event()
        self.do: AuditEvent = Call.cut
        self.ping: AuditEvent = lambda call: call.answer("OK")

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def act(self, call: Call) -> None:
        (self.ping if call.path.endswith("/_ping") else self.do)(call)

    def hang(self, call: Call) -> None:
        self.over.wait(60)
        call.cut()


def answering(status: int, text: str) -> AuditEvent:
    return lambda call: call.answer({"message": text}, status)


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    with (
        tempfile.TemporaryDirectory(prefix="dpl-", dir="/tmp") as folder,
        FakeEngine(Path(folder) / "docker.sock") as engine,
    ):
        threading.Thread(target=engine.serve_forever, args=(0.02,), daemon=True).start()
        yield engine
        engine.over.set()
        engine.shutdown()


def pull_failure(engine: Engine, login: Credentials | None = None) -> DeployerError:
    with pytest.raises(DeployerError) as caught:
        engine.images.pull(IMAGE, login, quiet)
    return caught.value


def cut_in_a_line(call: Call) -> None:
    call.begin_stream({"status": "Pulling"})
    call.wfile.write(b'40\r\n{"status": "Down')
    call.cut()


def cut_between_lines(call: Call) -> None:
    call.begin_stream({"status": "Pulling"})
    call.cut()


def cut_without_a_mark(call: Call) -> None:
    """As through a proxy that does not keep the chunks: only the broken line shows that something lacks."""
    call.send_response(200)
    call.send_header("Connection", "close")
    call.end_headers()
    call.wfile.write(b'{"status": "Pulling"}\r\n{"status": "Down')
    call.cut()


@pytest.mark.parametrize("cut", [Call.cut, cut_in_a_line, cut_between_lines, cut_without_a_mark])
def test_a_pull_that_breaks_off_is_the_registrys_fault_while_the_engine_answers(
    fake: FakeEngine, cut: AuditEvent
) -> None:
    fake.do = cut
    failure = pull_failure(Engine(fake.host))
    assert isinstance(failure, RegistryUnavailable) and "was not pulled to its end" in str(failure)


@pytest.mark.parametrize("cut", [Call.cut, cut_in_a_line, cut_between_lines, cut_without_a_mark])
@pytest.mark.case("F05", "F06")
def test_a_pull_that_breaks_off_is_the_engines_fault_when_it_is_gone(
    fake: FakeEngine, cut: AuditEvent
) -> None:
    fake.do, fake.ping = cut, Call.cut
    failure = pull_failure(Engine(fake.host))
    assert isinstance(failure, EngineUnavailable) and "is Docker running" in failure.hint


def hang_at_once(call: Call) -> None:
    call.server.hang(call)


def hang_in_the_stream(call: Call) -> None:
    call.begin_stream({"status": "Pulling"})
    call.server.hang(call)


def hang_in_an_unmarked_stream(call: Call) -> None:
    call.send_response(200)
    call.send_header("Connection", "close")
    call.end_headers()
    call.wfile.write(b'{"status": "Pulling"}\r\n')
    call.server.hang(call)


def trickle(call: Call) -> None:
    call.begin_stream()
    end = time.monotonic() + 60
    while time.monotonic() < end and not call.server.over.wait(0.05):
        call.send_chunk(b'{"status": "Waiting", "progressDetail": {}, "id": "a"}\r\n')


@pytest.mark.parametrize(
    "hang",
    [hang_at_once, hang_in_the_stream, hang_in_an_unmarked_stream, trickle],
    ids=lambda act: act.__name__,
)
@pytest.mark.case("F06")
def test_a_pull_that_hangs_ends_at_its_deadline_and_names_it(fake: FakeEngine, hang: AuditEvent) -> None:
    fake.do, begun = hang, time.monotonic()
    failure = pull_failure(Engine(fake.host, pull_deadline=1))
    assert isinstance(failure, RegistryUnavailable) and "not pulled within 1 s" in str(failure)
    assert time.monotonic() - begun < 20


def test_a_pull_is_told_of_and_goes_with_its_login(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def pull(call: Call) -> None:
        sent.append(call.headers["X-Registry-Auth"])
        detail = {"current": 1_000_000, "total": 2_000_000}
        call.begin_stream({"status": "Downloading", "id": "a", "progressDetail": detail}, {"status": "Done"})
        call.wfile.write(b"0\r\n\r\n")

    monkeypatch.setattr("deployer.adapters.docker.pull_progress._SAY_EVERY", 0.0)
    fake.do, said = pull, list[str]()
    Engine(fake.host).images.pull(IMAGE, Credentials("ghcr.io", "ada", SECRET), said.append)
    assert said == ["1.0 of 2.0 MB", "1.0 of 2.0 MB"]
    assert f"fromImage=ghcr.io%2Facme%2Fshop&tag=sha256%3A{'ab' * 32}" in fake.calls[-1]
    assert json.loads(base64.urlsafe_b64decode(sent[0])) == {"username": "ada", "password": SECRET}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("manifest unknown", ImageNotFound),
        ("pull access denied", ImageNotFound),
        ("Get https://ghcr.io/v2/: dial tcp: i/o timeout", RegistryUnavailable),
    ],
)
@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.case("F06")
def test_a_refused_pull_is_told_apart_wherever_the_engine_says_it(
    fake: FakeEngine, text: str, kind: type[DeployerError], status: int
) -> None:
    def pull(call: Call) -> None:
        if status == 200:
            call.begin_stream({"status": "Pulling"}, {"error": text, "errorDetail": {"message": text}})
            call.wfile.write(b"0\r\n\r\n")
        else:
            call.answer({"message": text}, status)

    fake.do = pull
    failure = pull_failure(Engine(fake.host))
    assert isinstance(failure, ImageNotFound if status == 404 else kind) and text in str(failure)


def test_the_edges_image_that_is_not_there_names_its_setting(fake: FakeEngine) -> None:
    fake.do = answering(404, "no such image")
    with pytest.raises(ImageNotFound, match="haproxy:9") as caught:
        Engine(fake.host).images.fetch("haproxy:9", quiet)
    assert "edge.image" in caught.value.hint


ASKS: dict[str, Callable[[Engine], object]] = {
    "observe": lambda engine: engine.containers.observe("shop"),
    "look": lambda engine: engine.containers.look(replica("a" * 64)),
    "start": lambda engine: engine.containers.start(replica("a" * 64)),
    "stop": lambda engine: engine.containers.stop(replica("a" * 64), 1),
    "remove": lambda engine: engine.containers.remove(replica("a" * 64)),
    "log_tail": lambda engine: engine.containers.log_tail(replica("a" * 64)),
    "image_id": lambda engine: engine.images.find_id(IMAGE),
    "create": lambda engine: engine.containers.create(PermittedContainer("shop-web-1", {"Image": "x"})),
    "tag": lambda engine: engine.images.tag(PermittedTag(IMAGE, "shop-web", "latest")),
    "networks": lambda engine: engine.networks.ids(),
    "remove_networks": lambda engine: engine.networks.remove_unused("shop"),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
@pytest.mark.parametrize("act", [Call.cut, cut_in_a_line, hang_at_once], ids=lambda act: act.__name__)
@pytest.mark.case("F05")
def test_an_engine_that_breaks_off_or_hangs_is_unavailable(
    fake: FakeEngine, ask: Callable[[Engine], object], act: AuditEvent
) -> None:
    fake.do, engine = act, Engine(fake.host, timeout=1)
    with pytest.raises(EngineUnavailable, match="the engine does not answer"):
        ask(engine)


def test_an_engine_that_is_not_there_is_unavailable_and_does_not_ping(tmp_path: Path) -> None:
    engine = Engine(f"unix://{tmp_path}/no.sock")
    assert not engine.connection.ping()
    with pytest.raises(EngineUnavailable):
        engine.containers.observe("shop")


_NOBODY = """
import os, sys
from deployer.adapters.docker.engine import Engine
from deployer.core.errors import EngineUnavailable
engine = Engine(sys.argv[1])  # read everything it needs before the rights are given up
os.setgroups([])
os.setuid(65534)
try:
    engine.containers.observe("shop")
except EngineUnavailable as error:
    print(error.diagnostics())
"""


@pytest.mark.case("F05")
def test_a_socket_that_may_not_be_used_is_said(fake: FakeEngine) -> None:
    fake.path.chmod(0o600)
    fake.path.parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", _NOBODY, fake.host], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "permission to use the engine's socket is denied" in done.stdout, done
    assert fake.calls == []


def test_an_engine_that_hangs_does_not_ping_for_long(fake: FakeEngine) -> None:
    fake.ping, begun = hang_at_once, time.monotonic()
    assert not Engine(fake.host, timeout=1).connection.ping()
    assert time.monotonic() - begun < 20


def test_a_fault_of_the_engines_machine_is_not_the_containers(fake: FakeEngine) -> None:
    for text in ("mkdir /var/lib/docker: no space left on device", "something odd inside"):
        fake.do = answering(500, text)
        with pytest.raises(EngineUnavailable, match=text):
            Engine(fake.host).containers.start(replica("a" * 64))


def test_a_log_that_cannot_be_read_does_not_hide_why_it_was_asked_for(fake: FakeEngine) -> None:
    for status in (404, 409, 500, 501):
        fake.do = answering(status, "no")
        assert Engine(fake.host).containers.log_tail(replica("a" * 64)) == ""


# --- the real engine


class Made:
    """Containers and networks of one test."""

    def __init__(self) -> None:
        registry()  # says what to run where there is no engine
        self.api = sdk.from_env(version="auto").api
        self.tag = f"dpl-{uuid.uuid4().hex[:8]}"
        self.containers: list[str] = []
        self.networks: list[str] = []

    def container(self, *command: str, **options: Any) -> Replica:
        """Created, not started; `host` are the options of its host."""
        name = f"{self.tag}-web-{len(self.containers) + 1}"
        host = self.api.create_host_config(**options.pop("host", {}))
        id = self.api.create_container(NGINX, list(command), name=name, host_config=host, **options)["Id"]
        self.containers.append(id)
        return replica(id, name)

    def network(self, subnet: str = "") -> str:
        name = f"{self.tag}-{len(self.networks)}"
        docker("network", "create", *(["--subnet", subnet] if subnet else []), name)
        self.networks.append(name)
        return name

    def run_to_its_end(self, made: Replica) -> None:
        Engine().containers.start(made)
        assert self.api.wait(made.id, timeout=120)["StatusCode"] == 0

    def endpoints(self, made: Replica) -> Any:
        return self.api.inspect_container(made.id)["NetworkSettings"]["Networks"]

    def clear(self) -> None:
        for id in self.containers:
            self.api.remove_container(id, force=True, v=True)
        for name in self.networks:
            self.api.remove_network(name)


@pytest.fixture
def made() -> Iterator[Made]:
    all = Made()
    yield all
    all.clear()


def refusal(made: Replica) -> ContainerRefused:
    with pytest.raises(ContainerRefused, match=f"{made.name} cannot be started") as caught:
        Engine().containers.start(made)
    assert caught.value.code == "container-refused"
    return caught.value


@pytest.mark.engine
def test_a_port_that_another_program_holds_is_named_with_how_to_find_it(made: Made) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        error = refusal(made.container("sleep", "60", ports=[80], host={"port_bindings": {80: port}}))
    assert f"docker ps --filter publish={port}" in error.hint and f"sport = :{port}" in error.hint


@pytest.mark.engine
def test_a_port_that_another_container_holds_is_named_with_how_to_find_it(made: Made) -> None:
    port = free_port()
    first, second = (
        made.container("sleep", "60", ports=[80], host={"port_bindings": {80: port}}) for _ in range(2)
    )
    Engine().containers.start(first)
    assert f"docker ps --filter publish={port}" in refusal(second).hint


@pytest.mark.engine
@pytest.mark.parametrize(
    ("options", "says", "hint"),
    [
        ({"entrypoint": "no-such"}, 'exec: "no-such": executable file not found', "`command`"),
        ({"entrypoint": "/etc/passwd"}, 'exec: "/etc/passwd": permission denied', "`command`"),
        ({"user": "nobody-here"}, "unable to find user nobody-here", "`user`"),
        ({"host": {"network_mode": "no-such-net"}}, "network no-such-net not found", "network create"),
        ({"host": {"binds": ["/tmp:/etc/passwd"]}}, "/etc/passwd", "`volumes`"),
        ({"host": {"devices": ["/dev/no-such:/dev/x"]}}, "/dev/no-such", "`devices`"),
    ],
)
def test_what_the_file_asks_for_and_cannot_be_is_refused_with_where_to_look(
    made: Made, options: dict[str, Any], says: str, hint: str
) -> None:
    error = refusal(made.container("x", **options))
    assert says in str(error) and hint in error.hint
    assert "OCI runtime" not in str(error)


@pytest.mark.engine
def test_a_container_that_is_gone_cannot_be_started_but_is_stopped_and_removed(made: Made) -> None:
    gone = replica("f" * 64)
    refusal(gone)
    Engine().containers.stop(gone, 1)
    Engine().containers.remove(gone)
    assert Engine().containers.look(gone) is None


@pytest.mark.engine
@pytest.mark.case("F12")
def test_the_tail_of_a_log_begins_with_a_whole_line(made: Made) -> None:
    """A secret that the cut went through would not be recognised, and not be hidden."""
    filler = "x" * (1_990 - 3 * (len(SECRET) + 1))
    script = f"echo first {SECRET}-{SECRET}-{SECRET}{filler}; echo last"
    talking = made.container("sh", "-c", script)
    made.run_to_its_end(talking)
    assert Engine().containers.log_tail(talking) == "last"


@pytest.mark.engine
@pytest.mark.case("F12")
@pytest.mark.parametrize(
    "line",
    [pytest.param("a line of a log", id="lines", marks=pytest.mark.long), pytest.param("", id="one line")],
)
def test_of_a_log_of_100_mb_only_the_end_is_read(made: Made, line: str) -> None:
    print_it = f"yes '{line}'" if line else "tr '\\0' x < /dev/zero"
    talking = made.container("sh", "-c", f"{print_it} | head -c 100000000; echo; echo the end")
    made.run_to_its_end(talking)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tail = Engine().containers.log_tail(talking)
    assert tail.endswith("the end") and len(tail) <= 2_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "KB more memory"


@pytest.mark.engine
def test_a_short_log_comes_whole_and_one_endless_line_not_at_all(made: Made) -> None:
    short = made.container("sh", "-c", "echo one; echo two >&2")
    long = made.container("sh", "-c", f"printf '%s%05000d' {SECRET} 0")
    for talking in (short, long):
        made.run_to_its_end(talking)
    assert sorted(Engine().containers.log_tail(short).splitlines()) == ["one", "two"]
    assert Engine().containers.log_tail(long) == f"(one line of {5_000 + len(SECRET)} bytes)"


@pytest.mark.engine
def test_the_real_engine_pings_and_says_what_it_cannot_pull() -> None:
    image = Image(f"{registry()}/no/such", IMAGE.digest)
    assert Engine().connection.ping() and Engine().images.find_id(image) == ""
    with pytest.raises(ImageNotFound, match="cannot be pulled"):
        Engine().images.pull(image, None, quiet)
    with pytest.raises(RegistryUnavailable):
        Engine().images.pull(dataclasses.replace(image, repository="127.0.0.1:9/no/such"), None, quiet)
    with pytest.raises(ImageNotFound):
        Engine().images.fetch(f"{registry()}/no/such:1", quiet)
    Engine(os.environ["DOCKER_HOST"]).images.fetch(NGINX, quiet)


@pytest.mark.engine
def test_an_image_in_use_stays_and_one_that_nothing_uses_goes() -> None:
    engine, name = Engine(), f"{registry()}/forget-{uuid.uuid4().hex[:8]}/web"
    docker("tag", NGINX, f"{name}:1")
    docker("push", "--quiet", f"{name}:1")
    digests: list[str] = json.loads(docker("inspect", "--format", "{{json .RepoDigests}}", f"{name}:1"))
    image = Image(*next(one for one in digests if one.startswith(name)).split("@"))
    docker("image", "rm", f"{name}:1")
    engine.images.pull(image, None, quiet)
    assert engine.images.find_id(image)
    assert engine.images.remove(image) and engine.images.find_id(image) == ""
    assert engine.images.remove(image)
    assert Path(engine.host.image_folder()).is_absolute()
