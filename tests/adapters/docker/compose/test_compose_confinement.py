"""The Compose process and files that are not its release's: every way that is known, on the real Compose and
the real kernel. In each the text checks are once on and once off, so that the kernel alone holds; and without
confinement the same input shows the canary, so that the test could fail.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker.compose import model_renderer
from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.docker.compose.compose_process import ComposeProcess
from deployer.adapters.docker.engine import Engine
from deployer.adapters.system.confined_process import find_confinement
from deployer.adapters.system.files import make_folder
from deployer.core.compose.rendering import FOLDER, RENDERING
from deployer.core.docker.compose_confinement import Confinement, Means
from deployer.core.errors import DeployerError
from deployer.core.model import Bundle
from deployer.core.permissions.project_permissions import Permissions
from deployer.core.rollout.desired_state import DesiredState
from testing.docker.docker_cli import docker

CANARY = "canary-7c1f0a2be4"
NOT_CONFINED = Confinement(Means.NONE, why="a test")
OWN_USER = Confinement(Means.OWN_USER, why="a test", sockets=True)
WEB = "services:\n  web:\n    image: busybox\n"


@dataclass(frozen=True)
class Server:
    """What lies on a server beside the release: each file holds the canary."""

    state: Path
    process: int  # another process of the same user, with the canary in its environment

    @property
    def key(self) -> Path:
        return self.state / "key"


@dataclass(frozen=True)
class Input:
    """A release, made for a server; `plant` puts more into its folder, as a container could. `reads`: an
    unconfined Compose shows the canary.
    """

    text: Callable[[Server], str]
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Callable[[Server], Mapping[str, str]] = lambda _server: {}
    plant: Callable[[Server, Path], None] = lambda _server, _folder: None
    reads: bool = True


def env_file(path: str) -> str:
    return f"{WEB}    env_file: {path}\n"


def of_key(shape: str) -> Callable[[Server], str]:
    """`shape` with the key's path, in plain and in base64."""
    return lambda server: shape.replace("@KEY", str(server.key)).replace(
        "@B64", base64.b64encode(str(server.key).encode()).decode()
    )


def of_process(path: str) -> Callable[[Server], str]:
    return lambda server: env_file(f"/proc/{server.process}/{path.replace('@KEY', str(server.key))}")


def link(name: str, target: str) -> Callable[[Server, Path], None]:
    return lambda server, folder: (folder / name).symlink_to(target.replace("@STATE", str(server.state)))


SHOW = "services: {web: {image: busybox, labels: {seen: '${CANARY}'}}}\n"
OTHERS = "services: {web: {extends: {file: '%s', service: other}}}\n"
INPUTS = {
    "absolute": Input(of_key(env_file("@KEY"))),
    "relative": Input(lambda _: env_file("../../key")),
    "folders by default values": Input(lambda _: env_file('"./.${X:-.}/.${X:-.}/key"')),
    "a variable's value": Input(lambda _: env_file("${P}"), variables=lambda s: {"P": str(s.key)}),
    "half a variable's value": Input(lambda _: env_file("a/${P}"), variables=lambda _: {"P": "../../../key"}),
    "binary": Input(of_key(env_file("!!binary @B64"))),
    "binary by a handle": Input(of_key(f"%TAG !e! tag:yaml.org,2002:\n---\n{env_file('!e!binary @B64')}")),
    "binary key": Input(of_key(f"{WEB}    !!binary ZW52X2ZpbGU=: @KEY\n")),
    "escapes": Input(lambda _: env_file('"\\u002e./\\x2e\\x2e/key"')),
    "merge": Input(of_key(f"x-a: &a {{env_file: @KEY}}\n{WEB}    <<: *a\n")),
    "merge with a tag": Input(of_key(f"x-a: &a {{env_file: @KEY}}\n{WEB}    !!merge <<: *a\n")),
    "merge without a kind": Input(  # read so by Compose 2.26, not by 5.6
        of_key(f"x-a: &a {{env_file: @KEY}}\n{WEB}    ! <<: *a\n"), reads=False
    ),
    "an anchor twice": Input(of_key(f"x-a: &a b.env\nx-b: &a @KEY\n{env_file('*a')}")),
    "a key by alias": Input(of_key(f"x-k: &k env_file\n{WEB}    *k : @KEY\n")),
    "second document": Input(of_key(f"{WEB}---\nservices: {{web: {{env_file: @KEY}}}}\n")),
    "override": Input(of_key(env_file("!override [@KEY]"))),
    "own tag": Input(of_key(env_file("!any @KEY"))),
    "optional": Input(of_key(env_file("[{path: @KEY, required: false}]"))),
    "extends": Input(lambda _: OTHERS % "../../projects/other/compose.yaml"),
    "extends of extends": Input(
        lambda _: OTHERS % "base.yaml",
        {
            "base.yaml": "services: {other: {extends: "
            "{file: ../../projects/other/compose.yaml, service: other}}}\n"
        },
    ),
    "include": Input(lambda _: "include: [../../projects/other/compose.yaml]\n"),
    "include of a data file's name": Input(
        lambda _: "include: [more.txt]\n", {"more.txt": "include: [../../projects/other/compose.yaml]\n"}
    ),
    "include's variables": Input(
        of_key("include: [{path: show.yaml, env_file: @KEY}]\n"), {"show.yaml": SHOW}
    ),
    "include's own .env": Input(
        lambda s: f"include: [{{path: show.yaml, project_directory: {s.state}/projects/other}}]\n",
        {"show.yaml": SHOW},
    ),
    "another release": Input(lambda _: env_file("../0123456789abcdef/app.env")),
    "link": Input(lambda _: env_file("a.env"), plant=link("a.env", "../../key")),
    "absolute link": Input(lambda _: env_file("a.env"), plant=link("a.env", "@STATE/key")),
    "linked folder": Input(lambda _: env_file("a/key"), plant=link("a", "../..")),
    "link to a link": Input(
        lambda _: env_file("b"), plant=lambda s, f: (link("a", "../..")(s, f), link("b", "a/key")(s, f))[0]
    ),
    "linked Compose file": Input(
        lambda _: "include: [a.yaml]\n", plant=link("a.yaml", "@STATE/projects/other/compose.yaml")
    ),
    "own root": Input(of_key(env_file("/proc/self/root@KEY"))),
    "own folder": Input(lambda _: env_file("/proc/self/cwd/../../key")),
    "environment of another": Input(of_process("environ")),
    "root of another": Input(of_process("root@KEY")),
    "folder of another": Input(of_process("cwd/key")),
    "descriptor of another": Input(of_process("fd/0")),
    "words of an error": Input(lambda _: env_file("../../words")),
    "words of a refused key": Input(lambda _: "include: [../../words.yaml]\n"),
    "a repository elsewhere": Input(lambda s: f"include: ['file://{s.state}/repository.git']\n", reads=False),
    "an artifact elsewhere": Input(lambda _: "include: ['oci://127.0.0.1:1/a:1']\n", reads=False),
    "labels from a file": Input(of_key(f"{WEB}    label_file: @KEY\n"), reads=False),  # since Compose 2.32
    "a secret's file": Input(
        lambda _: f"{WEB}    secrets: [s]\nsecrets: {{s: {{file: ../../key}}}}\n", reads=False
    ),
    "a program": Input(
        lambda _: f"{WEB}    provider: {{type: ./run.sh}}\n", {"run.sh": "#!/bin/sh\n"}, reads=False
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """In a folder that other users may pass through, as `/var/lib` is."""
    place = Path(tempfile.mkdtemp(prefix="deployer-", dir="/var/tmp"))
    place.chmod(0o711)
    state = place / "state"
    for folder in (state, state / "compose", state / "projects", state / "projects/other"):
        make_folder(folder, 0o711 if folder.name == "compose" else 0o700)
    for name in ("key", "projects/other/.env"):
        write_secret(state / name, f"CANARY={CANARY}\n")
    write_secret(state / "words", f"{CANARY} : [\n")
    write_secret(state / "words.yaml", f"services: {{web: {{image: x, {CANARY}: y}}}}\n")
    write_secret(
        state / "projects/other/compose.yaml",
        f"services: {{other: {{image: busybox, labels: {{seen: {CANARY}}}}}}}\n",
    )
    make_folder(state / "compose/0123456789abcdef", 0o755)
    write_secret(state / "compose/0123456789abcdef/app.env", f"CANARY={CANARY}\n", 0o644)
    with (state / "key").open() as key:
        child = subprocess.Popen(["sleep", "600"], env={"CANARY": CANARY}, cwd=state, stdin=key)
    yield Server(state, child.pid)
    child.kill()
    child.wait()
    shutil.rmtree(place)


def write_secret(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text checks are off."""
    monkeypatch.setattr(model_renderer, "check_file_access", lambda *_: None)


def shown(server: Server, one: Input, confinement: Confinement | None) -> str:
    """All that comes out: the model or the error, and Compose's own words before anything hides them."""
    compose = Compose(server.state, process := ComposeProcess(confinement))
    bundle = Bundle("compose.yaml", {"compose.yaml": one.text(server), **one.files})
    variables = one.variables(server)
    folder = compose.folders.unpack(bundle)
    one.plant(server, folder)
    said: list[str] = []
    whole = process.run

    def hear(text: str) -> str:
        said.append(text)
        return text

    def heard(*words: Any, **named: Any) -> str:
        return whole(*words, **{**named, "hide": hear})

    process.run = heard  # type: ignore[method-assign]
    try:
        said.append(json.dumps(compose.renderer.render("p", bundle, variables)))
    except DeployerError as error:
        said.append(error.diagnostics())
    finally:
        shutil.rmtree(folder)
    return "\n".join(said)


@pytest.mark.case("X03")
@pytest.mark.parametrize("name", INPUTS)
def test_a_file_that_is_not_the_releases_is_not_read(server: Server, name: str) -> None:
    assert CANARY not in shown(server, INPUTS[name], None)


@pytest.mark.case("X03")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", INPUTS)
def test_the_kernel_alone_holds_where_no_text_is_checked(server: Server, name: str) -> None:
    assert find_confinement().means is Means.LANDLOCK, f"this machine: {find_confinement()}"
    assert CANARY not in shown(server, INPUTS[name], None)


@pytest.mark.case("X03")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", [name for name, one in INPUTS.items() if one.reads])
def test_the_same_input_shows_the_canary_without_either(server: Server, name: str) -> None:
    assert CANARY in shown(server, INPUTS[name], NOT_CONFINED)


@pytest.mark.case("X03")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a child as another user")
@pytest.mark.parametrize("name", [name for name in INPUTS if name != "another release"])
def test_a_user_of_its_own_holds_where_the_kernel_has_no_landlock(server: Server, name: str) -> None:
    """A folder of another release is closed by its name alone, which is a hash of what it holds."""
    assert CANARY not in shown(server, INPUTS[name], OWN_USER)


@pytest.mark.case("X03")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a child as another user")
def test_a_release_renders_under_a_user_of_its_own(server: Server) -> None:
    one = Input(lambda _: env_file("conf/a.env") + "    labels: {v: '${V}'}\n", {"conf/a.env": "A=1\n"})
    compose = Compose(server.state, ComposeProcess(OWN_USER))
    bundle = Bundle("compose.yaml", {"compose.yaml": one.text(server), **one.files})
    model = compose.renderer.render("p", bundle, {"V": "it's $5"})
    web = model["services"]["web"]
    assert (web["environment"], web["labels"]) == ({"A": "1"}, {"v": "it's $$5"})
    assert Path(model[FOLDER]).is_relative_to(server.state)


RECORDED = {
    "secret": "    secrets: [s]\nsecrets: {s: {file: ../../key}}\n",
    "config": "    configs: [c]\nconfigs: {c: {file: ../../key}}\n",
    "seccomp profile": "    security_opt: ['seccomp=@KEY']\n",
    "relative seccomp profile": "    security_opt: ['seccomp=../../key']\n",
    "environment": "    environment: [CANARY]\n    secrets: [s]\nsecrets: {s: {environment: CANARY}}\n",
}


def record(server: Server, lines: str, confinement: Confinement | None) -> str:
    """What Compose asked the engine to create, with what it unpacks into containers, or why not."""
    project = f"dpl-{uuid.uuid4().hex[:8]}"
    compose = Compose(server.state, ComposeProcess(confinement))
    text = f"{WEB}{lines.replace('@KEY', str(server.key))}"
    try:
        model = compose.renderer.render(project, Bundle("compose.yaml", {"compose.yaml": text}), {})
        permissions = Permissions(project)
        application = DesiredState(
            project, (), model, None, rendering=model[RENDERING], permissions=permissions
        )
        return repr(compose.recording.record(application, Engine().connection.forward, {}))
    except DeployerError as error:
        return error.diagnostics()
    finally:
        for network in docker("network", "ls", "-q", "--filter", f"name={project}").split():
            docker("network", "rm", network)


@pytest.mark.engine
@pytest.mark.case("X03")
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", RECORDED)
def test_what_compose_would_create_holds_nothing_of_the_servers(
    server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    assert CANARY not in record(server, RECORDED[name], None)


@pytest.mark.engine
@pytest.mark.case("X03")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a child as another user")
def test_a_user_of_its_own_reaches_the_recorder(server: Server) -> None:
    assert "'Image': 'busybox'" in record(server, "    environment: {A: b}\n", OWN_USER)


@pytest.mark.engine
@pytest.mark.case("X03")
def test_a_seccomp_profile_that_the_settings_grant_is_read(server: Server) -> None:
    profile = server.state.parent / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    assert "SCMP_ACT_ALLOW" in record(server, f"    security_opt: ['seccomp={profile}']\n", None)
