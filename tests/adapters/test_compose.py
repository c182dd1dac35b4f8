"""Compose on files as people write them; nothing is created here, so no engine is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.adapters.compose import Compose
from deployer.core.errors import ComposeRejected
from deployer.core.model import Bundle

WEB = "services:\n  web:\n    image: busybox\n"


def render(folder: Path, text: str, **files: str) -> dict[str, object]:
    named = {name.replace("__", "/").replace("_dot_", "."): content for name, content in files.items()}
    model = Compose(folder).render(
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


@pytest.mark.parametrize("path", ["/etc/passwd", "../../key", "$HOME/key"])
def test_a_file_of_the_server_is_not_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(ComposeRejected, match="outside the repository"):
        render(tmp_path, WEB + f"    env_file: ['{path}']\n")
    with pytest.raises(ComposeRejected, match="outside the repository"):
        text = "services:\n  web:\n    extends: {file: other.yaml, service: web}\n"
        render(tmp_path, text, other_dot_yaml=WEB + f"    env_file: ['{path}']\n")


def test_a_script_of_the_bundle_can_be_run_and_any_user_may_read_the_files(tmp_path: Path) -> None:
    render(tmp_path, WEB, entry_dot_sh="#!/bin/sh\n", a_dot_conf="x")
    script, config = next(tmp_path.rglob("entry.sh")), next(tmp_path.rglob("a.conf"))
    assert (script.stat().st_mode & 0o777, config.stat().st_mode & 0o777) == (0o755, 0o644)


def test_what_compose_quotes_of_a_variable_is_hidden(tmp_path: Path) -> None:
    bundle = Bundle("compose.yaml", {"compose.yaml": WEB + "    ports: ['${SECRET}:80']\n"})
    with pytest.raises(ComposeRejected) as error:
        Compose(tmp_path).render("shop", bundle, {"SECRET": "canary-5f3a9c71"})
    assert "canary" not in error.value.diagnostics() and "[redacted]" in str(error.value)
