"""The receiver as two containers of two users, by the file in examples/: what separates them, and that a
whole deploy works.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testing.receiver.two_containers import WEB, WORKER, TwoHalves
from testing.stage import ROOT, docker, wait_for
from tests.scenarios.deploys.test_deploys import published_images, running_images
from tests.scenarios.receiver.test_container import IMAGE

pytestmark = [pytest.mark.engine, pytest.mark.long]
OTHERS = ("github.secret", "registry.secret", "shop.env")  # the worker's
# What a process in the web's container tries against the engine and the key.
ATTACKS = """
import glob, os, socket
def refused(act):
    try:
        act()
    except OSError:
        return
    raise SystemExit(f"not refused: {act.__doc__ or act}")
def connect(path):
    socket.socket(socket.AF_UNIX).connect(path)
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", SOCKET):
    refused(lambda: connect(path))
for port in (2375, 2376):
    refused(lambda: socket.create_connection(("127.0.0.1", port), 1))
for path in ("/app/x", "/etc/x", "/var/lib/deployer/x", FOLDER + "/x", FOLDER + "/web/x"):
    refused(lambda: open(path, "w"))
for path in (STATE, STATE + "/key", *(FOLDER + "/" + name for name in OTHERS)):
    refused(lambda: open(path).read())
lines = [open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/cmdline")]
assert not [line for line in lines if b"deployer\\0worker" in line]
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0 and status["NoNewPrivs"].strip() == "1"
assert {os.getuid(), os.getgid(), *os.getgroups()} == {WEB}
import docker
try:
    docker.from_env().ping()
    raise SystemExit("an engine answered")
except docker.errors.DockerException:
    pass
print("nothing reached")
"""


@pytest.fixture
def halves() -> Iterator[TwoHalves]:
    docker("build", "--quiet", "--tag", IMAGE, str(ROOT))
    with TwoHalves(IMAGE) as stage:
        yield stage


def test_a_whole_deploy_through_a_web_that_reaches_no_engine(halves: TwoHalves) -> None:
    first, second = halves.publish("1.0.0"), halves.publish("2.0.0")
    assert halves.deploy(first)["status"] == "success"
    wait_for("the first release", lambda: halves.serves() == "1.0.0", 30)

    constants = {
        "SOCKET": "/x/docker.sock",
        "STATE": str(halves.state),
        "FOLDER": str(halves.folder),
        "WEB": WEB,
        "OTHERS": OTHERS,
    }
    program = "".join(f"{name} = {value!r}\n" for name, value in constants.items()) + ATTACKS
    assert halves.inside("web", "python", "-c", program).strip() == "nothing reached"
    assert halves.inside("worker", "id", "-u").strip() == str(WORKER)
    assert not docker("port", halves.container("worker")).strip()

    # Each half is killed while the other lives: nothing is lost, and the web says what is missing.
    docker("kill", halves.container("worker"))
    wait_for("the word that no worker runs", lambda: halves.get("/health")[1]["status"] == "Degraded", 20)
    status, asked = halves.request(second)
    assert (status, asked["status"]) == (202, "queued")
    docker("kill", halves.container("web"))
    docker("start", halves.container("worker"))
    docker("start", halves.container("web"))
    wait_for("the web's answer", lambda: halves.get("/health")[0] == 200, 30)
    assert halves.finished(asked["id"], asked["read_token"])["status"] == "success"
    assert running_images(halves) == published_images(second)
    assert (status := halves.workflow_run(first.revision)[0]) in (200, 202), status
    assert halves.inside("worker", "deployer", "audit", "verify")
