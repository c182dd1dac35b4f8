"""Compose as a real process: what reaches it, what it may say, and what lies on the disk for containers."""

from __future__ import annotations

import hashlib
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker.compose import compose_process
from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.docker.engine import Engine
from deployer.adapters.system.files import make_folder
from deployer.core.compose.rendering import ADDED, FOLDER, MOUNTED, RENDERING
from deployer.core.docker.compose_calls import PermittedCall
from deployer.core.docker.engine_requests import PermittedContainer
from deployer.core.errors import (
    CommandFailed,
    ComposeRejected,
    ContainerRefused,
    DeployerError,
    EngineUnavailable,
    StoreUnavailable,
)
from deployer.core.model import Bundle
from deployer.core.permissions.project_permissions import Permissions
from deployer.core.rollout.desired_state import DesiredState
from testing.docker.docker_cli import docker, registry, remove_containers

SECRET = "canary-5f3a9c71"
NGINX = "nginx:alpine"
WEB = "services:\n  web:\n    image: busybox\n"


def bundle_of(text: str, **files: str) -> Bundle:
    return Bundle("compose.yaml", {"compose.yaml": text, **files})


def one_service(lines: str) -> Bundle:
    return bundle_of(f"services:\n  web:\n    image: {NGINX}\n{lines}")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    make_folder(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def project() -> Iterator[str]:
    registry()  # says what to run where there is no engine
    name = f"dpl-{uuid.uuid4().hex[:8]}"
    yield name
    remove_containers(name)


def application(project: str, model: Mapping[str, Any]) -> DesiredState:
    shown = {key: model[key] for key in model if key not in ADDED}
    permissions = Permissions(project, readable=(model[MOUNTED],))
    return DesiredState(project, (), shown, None, rendering=model[RENDERING], permissions=permissions)


def create(compose: Compose, project: str, model: Mapping[str, Any]) -> None:
    """What Compose would have created, unchanged."""
    for one in compose.recording.record(application(project, model), Engine().connection.forward, {}):
        Engine().containers.create(PermittedContainer(one.name, one.body, one.archives))


# --- rendering


def render(folder: Path, text: str, **files: str) -> dict[str, object]:
    named = {name.replace("__", "/").replace("_dot_", "."): content for name, content in files.items()}
    model = Compose(folder).renderer.render(
        "shop", Bundle("compose.yaml", {"compose.yaml": text} | named), {"MARK": "x"}
    )
    services = model["services"]
    assert isinstance(services, dict)
    web: dict[str, object] = services["web"]
    return web


def test_words_that_old_yaml_reads_as_operators_stay_words(tmp_path: Path) -> None:
    assert render(tmp_path, WEB + '    command: ["=", "<<", "yes"]\n')["command"] == ["=", "<<", "yes"]


def test_variables_and_env_files_of_the_repository_are_read(tmp_path: Path) -> None:
    text = WEB + "    env_file: [conf/app.env]\n    environment: {SEEN: '${MARK}'}\n"
    assert render(tmp_path, text, conf__app_dot_env="A=1\n")["environment"] == {"A": "1", "SEEN": "x"}


def test_merges_and_composes_own_tags_are_understood(tmp_path: Path) -> None:
    text = "x-base: &base\n  image: busybox\nservices:\n  web:\n    <<: *base\n    ports: !reset []\n"
    assert render(tmp_path, text)["image"] == "busybox"


@pytest.mark.parametrize("path", ["/etc/passwd", "../../key", "~/key"])
def test_a_file_of_the_server_is_not_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(ComposeRejected, match="outside the repository"):
        render(tmp_path, WEB + f"    env_file: ['{path}']\n")
    with pytest.raises(ComposeRejected, match="outside the repository"):
        text = "services:\n  web:\n    extends: {file: other.yaml, service: web}\n"
        render(tmp_path, text, other_dot_yaml=WEB + f"    env_file: ['{path}']\n")


def test_a_file_of_the_server_is_not_read_through_an_include_of_another_name(tmp_path: Path) -> None:
    with pytest.raises(ComposeRejected, match="outside the repository"):
        render(tmp_path, "include: [more.txt]\n", more_dot_txt=WEB + "    env_file: ['../../key']\n")


def test_a_script_of_the_bundle_can_be_run_and_any_user_may_read_the_files(tmp_path: Path) -> None:
    render(tmp_path, WEB, entry_dot_sh="#!/bin/sh\n", a_dot_conf="x")
    script, config = next(tmp_path.rglob("entry.sh")), next(tmp_path.rglob("a.conf"))
    assert (script.stat().st_mode & 0o777, config.stat().st_mode & 0o777) == (0o755, 0o644)


@pytest.mark.case("D06")
@pytest.mark.parametrize("line", ["ports: ['${SECRET}:80']", "mem_limit: ${SECRET}", "shm_size: ${SECRET}"])
def test_what_compose_quotes_of_a_variable_is_hidden(tmp_path: Path, line: str) -> None:
    with pytest.raises(ComposeRejected) as error:
        Compose(tmp_path).renderer.render("shop", bundle_of(f"{WEB}    {line}\n"), {"SECRET": SECRET})
    assert SECRET not in error.value.diagnostics() and "value-of-secret" in str(error.value)


AWKWARD = [
    "plain",
    "",
    "it's",
    'say "hi"',
    "both ' and \"",
    "ends with \\",
    "a\\nb",
    "a\nb\n",
    "a\\\nb",
    "\\'",
    "$HOME ${HOME} $$ ${A:-b}",
    "'$HOME",
    " spaces ",
    "#x # y",
    "tab\there\rcr",
    "grün €",
    "`id` %s {{.}}",
]


@pytest.mark.case("D04")
def test_every_value_arrives_as_it_is(state: Path) -> None:
    variables = {f"V{n}": value for n, value in enumerate(AWKWARD)}
    lines = "".join(f'      {name}: "${{{name}}}"\n' for name in variables)
    model = Compose(state).renderer.render("shop", one_service(f"    environment:\n{lines}"), variables)
    arrived = model["services"]["web"]["environment"]
    # Compose doubles each dollar of what it prints, so that it can be read once more.
    assert {name: value.replace("$$", "$") for name, value in arrived.items()} == variables


@pytest.mark.parametrize("secret", [f'{SECRET[:8]}"{SECRET[8:]}', f"{SECRET[:8]}\\{SECRET[8:]}"])
def test_nor_does_it_show_where_compose_escapes_it(state: Path, secret: str) -> None:
    lines = "    healthcheck: {test: [CMD, x], interval: '${SECRET}'}\n"
    with pytest.raises(ComposeRejected, match="value-of-secret") as refused:
        Compose(state).renderer.render("shop", one_service(lines), {"SECRET": secret})
    assert SECRET[8:] not in refused.value.diagnostics()


def test_without_compose_it_is_not_the_models_fault(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_process, "_FOLDERS", ())
    monkeypatch.setenv("DOCKER_CONFIG", str(state))
    with pytest.raises(CommandFailed, match="docker compose cannot be started") as failed:
        Compose(state).renderer.render("shop", one_service(""), {})
    assert failed.value.code == "command-failed" and str(state) in failed.value.hint


# --- files


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }


@pytest.mark.engine
def test_a_container_under_any_user_reads_what_it_mounts_and_others_do_not(state: Path, project: str) -> None:
    before = os.umask(0o077)
    try:
        bundle = bundle_of(WEB, **{"conf/a.txt": "hello\n"})
        folder = Compose(state).renderer.render(project, bundle, {})[FOLDER]
    finally:
        os.umask(before)
    mounts = ["-v", f"{folder}/conf/a.txt:/a.txt:ro", "-v", f"{folder}/conf:/conf:ro"]
    argv = ["run", "--rm", "--user", "12345:12345", "--cap-drop", "ALL", *mounts]
    assert (
        docker(*argv, NGINX, "sh", "-c", "cat /a.txt; ls /conf; cat /conf/a.txt") == "hello\na.txt\nhello\n"
    )
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert modes(state / "bundles")["."] == 0o711
    assert modes(Path(folder)) == {".": 0o755, "compose.yaml": 0o644, "conf": 0o755, "conf/a.txt": 0o644}


def test_the_model_with_variables_is_for_its_owner_only(state: Path) -> None:
    path = Compose(state).models.save(DesiredState("shop", (), {"services": {}}))
    assert modes(state / "projects") == {".": 0o700, "shop": 0o700, "shop/compose.yaml": 0o600}
    assert path == state / "projects" / "shop" / "compose.yaml"


def test_the_same_files_keep_their_folder_and_their_content(state: Path) -> None:
    compose, bundle = Compose(state), bundle_of(WEB, **{"a.txt": "one\n"})
    folder = Path(compose.renderer.render("shop", bundle, {})[FOLDER])
    inode = (folder / "a.txt").stat().st_ino
    assert compose.renderer.render("shop", bundle, {})[FOLDER] == str(folder)
    assert (folder / "a.txt").stat().st_ino == inode
    (folder / "a.txt").write_text("changed by a container that mounts it")
    compose.renderer.render("shop", bundle, {})
    assert (folder / "a.txt").read_text() == "one\n"


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "a//b", "."])
def test_a_path_that_leaves_the_bundle_is_refused_and_not_written(state: Path, name: str) -> None:
    with pytest.raises(ComposeRejected, match="is not a path inside the repository"):
        Compose(state).renderer.render("shop", bundle_of(WEB, **{name: "x"}), {})
    assert not list(state.parent.rglob("outside"))


@pytest.mark.parametrize("planted", [".", "conf", "conf/a.txt", "compose.yaml"])
def test_a_link_that_a_container_planted_is_refused_and_not_followed(state: Path, planted: str) -> None:
    bundle = bundle_of(WEB, **{"conf/a.txt": "one\n"})
    folder = Path(Compose(state).renderer.render("shop", bundle, {})[FOLDER])
    outside = state.parent / "outside"
    (folder / planted).rename(outside)
    kept = {path: path.read_bytes() for path in (outside, *outside.rglob("*")) if path.is_file()}
    (folder / planted).symlink_to(outside)
    with pytest.raises(ComposeRejected, match="has become a link") as refused:
        Compose(state).renderer.render("shop", bundle, {})
    assert str(folder) in refused.value.hint
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_state_folder_that_cannot_be_written_is_an_expected_failure(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StoreUnavailable):
        Compose(tmp_path / "state").renderer.render("shop", one_service(""), {})
    with pytest.raises(StoreUnavailable):
        Compose(tmp_path / "state").models.save(DesiredState("shop", (), {}))


def test_a_bundle_file_that_became_a_folder_is_an_expected_failure(state: Path) -> None:
    bundle = bundle_of(WEB, **{"a.txt": "x"})
    folder = Path(Compose(state).renderer.render("shop", bundle, {})[FOLDER])
    (folder / "a.txt").unlink()
    (folder / "a.txt").mkdir()
    with pytest.raises(StoreUnavailable, match=r"a\.txt"):
        Compose(state).renderer.render("shop", bundle, {})


# --- creating


def refused(compose: Compose, project: str, lines: str) -> DeployerError:
    model = compose.renderer.render(project, one_service(lines), {})
    with pytest.raises(DeployerError) as caught:
        create(compose, project, model)
    return caught.value


@pytest.mark.engine
@pytest.mark.parametrize(
    ("lines", "says", "hint"),
    [
        (
            "    volumes: [{type: bind, source: /no/such, target: /x, bind: {create_host_path: false}}]\n",
            "bind source path does not exist: /no/such",
            "`volumes`",
        ),
        ("    working_dir: /etc/passwd\n", "Cannot mkdir: /etc/passwd", "`volumes`"),
        ("    mem_limit: 1m\n", "Minimum memory limit", "Compose file"),
        (
            "    networks: [e]\nnetworks: {e: {external: true, name: no-such-net}}\n",
            "network no-such-net not found",
            "network create",
        ),
    ],
)
def test_what_the_engine_will_not_create_is_refused_with_where_to_look(
    state: Path, project: str, lines: str, says: str, hint: str
) -> None:
    error = refused(Compose(state), project, lines)
    assert isinstance(error, ContainerRefused) and says in str(error) and hint in error.hint
    assert project in str(error) and "cannot be created" in str(error)


@pytest.mark.engine
def test_a_name_that_is_taken_says_how_to_make_room(state: Path, project: str) -> None:
    docker("create", "--name", f"{project}-mine", "--label", f"com.docker.compose.project={project}", NGINX)
    error = refused(Compose(state), project, f"    container_name: {project}-mine\n")
    assert isinstance(error, ContainerRefused) and "docker rm" in error.hint


@pytest.mark.engine
def test_no_value_of_any_release_of_the_project_is_in_what_create_says(state: Path, project: str) -> None:
    """Another release of the project may be rendered between this one's rendering and its creation."""
    compose = Compose(state)
    lines = "    networks: [e]\nnetworks: {e: {external: true, name: '${NET}'}}\n"
    model = compose.renderer.render(project, one_service(lines), {"NET": SECRET})
    compose.renderer.render(project, one_service(""), {"NET": "another"})
    with pytest.raises(ContainerRefused, match=r"network \[redacted\] not found") as caught:
        create(compose, project, model)
    assert SECRET not in caught.value.diagnostics()


@pytest.mark.engine
def test_an_engine_that_is_not_there_is_not_the_releases_fault(
    state: Path, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("DOCKER_HOST", f"unix://{state}/no.sock")
        error = refused(Compose(state), project, "")
    assert isinstance(error, EngineUnavailable) and "DOCKER_HOST" in error.hint


@pytest.mark.engine
def test_what_compose_would_create_is_recorded_once_and_its_networks_are_made(
    state: Path, project: str
) -> None:
    compose = Compose(state)
    lines = "    environment: {A: '${A}'}\n    deploy: {replicas: 3}\n    secrets: [s]\n"
    model = compose.renderer.render(
        project, one_service(lines + "secrets: {s: {environment: A}}\n"), {"A": "$5"}
    )
    asked: list[str] = []

    def forward(call: PermittedCall) -> tuple[int, Mapping[str, str], bytes]:
        asked.append(call.path)
        return Engine().connection.forward(call)

    with compose.locks.exclusive(project, 1.0):
        (one,) = compose.recording.record(application(project, model), forward, {})
        calls = len(asked)
        assert compose.recording.record(application(project, model), forward, {}) == (one,)
    assert calls == len(asked) > 0, "the second time nobody is asked"
    assert (one.name, one.service, one.body["Env"]) == (f"{project}-web-1", "web", ["A=$5"])
    assert b"$5" in one.archives[0][1]
    assert f"{project}_default" in Engine().networks.ids()
    assert not docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}").split()
    assert not (state / f"{project}.sock").exists()


def test_files_of_bundles_that_no_release_has_go_unless_they_are_new(state: Path) -> None:
    compose = Compose(state)
    bundles = [bundle_of(f"services: {{web: {{image: 'web:{number}'}}}}") for number in range(3)]
    folders = [Path(str(compose.renderer.render("shop", bundle, {})[FOLDER])) for bundle in bundles]
    os.utime(folders[0], (1.0, 1.0))
    os.utime(folders[1], (1.0, 1.0))
    assert compose.folders.keep([bundles[0]], ()) == 1
    assert [folder.exists() for folder in folders] == [True, False, True]
    assert compose.folders.keep([], ()) == 1 and not folders[0].exists()


@pytest.mark.case("X12")
def test_plans_leave_nothing_in_memory_and_push_nothing_of_a_deploy_out(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.adapters.docker.compose.renderings._KEPT_RENDERINGS", 2)
    compose, release = Compose(state), bundle_of(WEB)
    deployed = compose.renderer.render("shop", release, {"A": "secret-of-the-release"})
    for number in range(5):
        plan = bundle_of(f"services: {{web: {{image: 'web:{number}'}}}}")
        with compose.renderer.planning(plan):
            compose.renderer.render("shop", plan, {"A": f"secret-{number}"})
            assert compose.renderings.redaction("shop")(f"secret-{number}") != f"secret-{number}"
    bad = bundle_of("services: {web: {image: 1, ports: {}}}")
    with pytest.raises(ComposeRejected), compose.renderer.planning(bad):
        compose.renderer.render("shop", bad, {"A": "secret-of-a-bad-one"})
    with compose.renderer.planning(release):
        compose.renderer.render("shop", release, {"A": "secret-of-the-release"})
    assert list(compose.renderings._renderings) == [deployed[RENDERING]]
    assert list(compose.renderings._values["shop"]) == [deployed[RENDERING]]
    assert "secret-of-the-release" not in compose.renderings.redaction("shop")("it is secret-of-the-release")
    assert compose.renderings._planned == {}


@pytest.mark.case("X12")
def test_the_values_of_a_project_that_no_error_shows_have_a_bound(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.adapters.docker.compose.renderings._KEPT_RENDERINGS", 2)
    monkeypatch.setattr("deployer.adapters.docker.compose.renderings._KEPT_VALUES", 3)
    compose = Compose(state)
    secrets = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(6)]
    for secret in secrets:
        compose.renderer.render("shop", bundle_of(WEB), {"A": secret})
    shown = [compose.renderings.redaction("shop")(secret) == secret for secret in secrets]
    assert shown == [True, True, True, False, False, False]
