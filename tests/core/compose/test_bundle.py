"""Which files travel with a Compose file: everything that it names, nothing from outside the repository."""

from __future__ import annotations

import pytest

from deployer.core.compose.bundle import collect_bundle, named_files
from deployer.core.errors import ReleaseIncomplete
from deployer.core.requests.deploy_request import MAX_FILES

_NAMES = """
compose.yaml .env app.env other.env nginx.conf conf/site.conf secret common.yml db/compose.yaml db/init.sql
web/Dockerfile Dockerfile Dockerfile.prod web/index.js deploy/compose.yaml deploy/app.env odd#name.env
"""
FILES = frozenset({*_NAMES.split(), "my file.txt", "odd #name.env"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("env_file: app.env", {"app.env"}),
        ("env_file: ./app.env", {"app.env"}),
        ("env_file: [app.env, other.env]", {"app.env", "other.env"}),
        ("env_file:\n\n  - app.env\n  - other.env", {"app.env", "other.env"}),
        ("env_file:\n  - path: ./app.env\n    required: false", {"app.env"}),
        ("env_file: {path: app.env}", {"app.env"}),
        ('env_file: "app.env"', {"app.env"}),
        ("env_file: 'app.env'  # the app's own", {"app.env"}),
        ("env_file: ${FILE:-app.env}", {"app.env"}),
        ("env_file: ${FILE-./app.env}", {"app.env"}),
        ("env_file: .env", {".env"}),
        ("include: [common.yml]", {"common.yml"}),
        ("include:\n  - path: [common.yml, db/compose.yaml]", {"common.yml", "db/compose.yaml"}),
        ("extends:\n  file: common.yml\n  service: base", {"common.yml"}),
        ("extends: {file: ./common.yml, service: base}", {"common.yml"}),
        ("configs:\n  site:\n    file: ./conf/site.conf", {"conf/site.conf"}),
        ("secrets: {key: {file: secret}}", {"secret"}),
        ("volumes:\n  - ./nginx.conf:/etc/nginx/conf.d/default.conf:ro", {"nginx.conf"}),
        ('volumes: ["./nginx.conf:/etc/nginx/nginx.conf"]', {"nginx.conf"}),
        ("volumes:\n  - type: bind\n    source: ./nginx.conf\n    target: /x", {"nginx.conf"}),
        ("volumes:\n  - ${CONF:-./nginx.conf}:/etc/nginx/nginx.conf", {"nginx.conf"}),
        ("- SETTINGS=conf/site.conf", {"conf/site.conf"}),
        ("file: my file.txt", {"my file.txt"}),
        ("source: 'my file.txt'", {"my file.txt"}),
        ('volumes: ["./my file.txt:/x", "./nginx.conf:/y"]', {"my file.txt", "nginx.conf"}),
        ('env_file: "odd#name.env"', {"odd#name.env"}),
        ('env_file: "odd #name.env"  # really', {"odd #name.env"}),
        ("env_file: conf/../app.env", {"app.env"}),
    ],
)
def test_a_named_file_is_found(text: str, found: set[str]) -> None:
    assert named_files(text, FILES, path="compose.yaml") == found


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {image: nginx}}",
        "# env_file: .env",
        "image: nginx  # was: app.env",
        "build: ./web",
        "build: {context: ., dockerfile: Dockerfile.prod}",
        "build:\n  context: .\n  dockerfile: Dockerfile",
        'build: {"dockerfile": "Dockerfile", "context": "."}',
        "volumes: [./conf:/etc/conf]",
        "volumes: [/app.env:/x]",
        "env_file: ../app.env",
        "env_file: ../../etc/passwd",
        "env_file: missing.env",
        "file: compose.yaml",
        "\n\n",
    ],
)
def test_nothing_else_is_taken(text: str) -> None:
    assert named_files(text, FILES, path="compose.yaml") == set()


def test_paths_are_relative_to_the_compose_file_and_stay_in_the_repository() -> None:
    text = "env_file: [app.env, ../nginx.conf, ../../app.env]"
    assert named_files(text, FILES, path="deploy/compose.yaml") == {"deploy/app.env", "nginx.conf"}


def test_a_path_outside_is_refused_even_where_the_listing_has_it() -> None:
    assert named_files("env_file: [../x, /etc/passwd]", {"../x", "/etc/passwd"}, path="compose.yaml") == set()


def test_included_compose_files_are_followed_once() -> None:
    texts = {
        "compose.yaml": "include: [db/compose.yaml]\nenv_file: app.env",
        "db/compose.yaml": "volumes: [./init.sql:/x]\ninclude: [../compose.yaml, ../common.yml]",
        "common.yml": "include: [db/compose.yaml]",
        "app.env": "OTHER=nginx.conf",
        "db/init.sql": "select 1",
    }
    bundle = collect_bundle("compose.yaml", FILES, texts.get)
    assert bundle.entry == "compose.yaml"
    assert bundle.files == texts


def test_a_word_that_is_the_name_of_a_binary_file_does_not_stop_the_deploy() -> None:
    texts = {"compose.yaml": "command: secret\nenv_file: app.env", "app.env": "A=1"}
    assert set(collect_bundle("compose.yaml", FILES, texts.get).files) == {"compose.yaml", "app.env"}


@pytest.mark.parametrize("exists", [frozenset({"app.env"}), FILES])
def test_a_missing_or_unreadable_compose_file_is_named(exists: frozenset[str]) -> None:
    with pytest.raises(ReleaseIncomplete, match=r"compose\.yaml"):
        collect_bundle("compose.yaml", exists, lambda _: None)


def test_more_files_than_a_request_carries_are_refused() -> None:
    names = [f"f{n}.env" for n in range(MAX_FILES)]
    with pytest.raises(ReleaseIncomplete, match="more than"):
        collect_bundle(
            "compose.yaml", {"compose.yaml", *names}, lambda _: "\n".join(f"- {name}" for name in names)
        )


@pytest.mark.parametrize(
    ("path", "beside"),
    [
        ("compose.yaml", {".env"}),
        ("deploy/compose.yaml", {"deploy/.env", "deploy/.env.production"}),
        ("db/compose.yaml", set()),
    ],
)
def test_v1_the_file_of_variables_beside_a_compose_file_comes_along(path: str, beside: set[str]) -> None:
    exists = FILES | {"deploy/.env", "deploy/.env.production"}
    texts = dict.fromkeys(exists, "A=1") | {path: "services: {}"}
    assert set(collect_bundle(path, exists, texts.get).files) == {path} | beside
