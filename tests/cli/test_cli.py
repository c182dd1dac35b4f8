"""The `deployer` command's words: help, refusals, exit codes."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer import __version__
from deployer.adapters.docker.host.project_edges import ProjectEdges
from deployer.bootstrap import build
from deployer.cli import main
from deployer.cli.output import print_events
from deployer.cli.parser import command
from deployer.cli.status_commands import me
from deployer.core.model import DeployJob, Event, Kind, Trigger


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Settings of a server with two apps."""
    apps = "".join(
        f'[apps.{name}]\nrepository = "acme/{name}"\nrepository-id = {number}\nowner-id = 1\n'
        "environments.production = {}\n"
        for number, name in enumerate(("shop", "admin"), 1)
    )
    with tempfile.TemporaryDirectory(prefix="dpl-", dir="/tmp") as folder:  # a socket's path must be short
        path = Path(folder) / "config.toml"
        server = f'server = {{ url = "https://d.example.com", state = "{folder}/state" }}\n'
        path.write_text(server + apps, encoding="utf-8")
        monkeypatch.setenv("DEPLOYER_CONFIG", str(path))
        yield path


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


@pytest.mark.parametrize("words", [[], ["token"], ["config"]])
def test_a_command_without_a_verb_prints_its_help(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: {' '.join(['deployer', *words])} ") and "verbs:" in printed


def test_every_help_says_what_it_is_in_one_line_and_explains_every_word() -> None:
    found = list(parsers(command()))
    assert len(found) > 12
    for parser in found:
        assert parser.description and "\n" not in parser.description, parser.prog
        for action in parser._actions:
            is_group = isinstance(action, argparse._SubParsersAction)
            assert is_group or action.help, f"{parser.prog} {action.dest}"


@pytest.mark.parametrize("days", ["-5", "0", "nan", "inf", "1e9", "soon"])
def test_a_token_needs_a_length_of_life(config: Path, days: str, capsys: pytest.CaptureFixture[str]) -> None:
    create = ["token", "create", "--app", "shop", "--can", "read", "--name", "ada"]
    with pytest.raises(SystemExit) as ended:
        main([*create, f"--days={days}"])
    assert ended.value.code == 2 and "days above 0" in capsys.readouterr().err
    assert main(["token", "list"]) == 0 and capsys.readouterr().out == ""
    assert main([*create, "--days=0.5"]) == 0


@pytest.mark.parametrize("limit", ["0", "-1", "x", "99999999999"])
def test_history_shows_at_least_one(config: Path, limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["history", "shop", f"--limit={limit}"])
    assert ended.value.code == 2 and "from 1 to" in capsys.readouterr().err
    assert main(["history", "shop", "--limit", "1"]) == 0


def test_a_name_that_is_taken_is_said_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create = ["token", "create", "--app", "shop", "--can", "read", "--name", "ada"]
    assert main(create) == 0
    capsys.readouterr()
    assert main(create) == 1
    told = capsys.readouterr()
    assert told.out == "" and "'ada'" in told.err and "[name-taken]" in told.err and "hint: " in told.err
    assert main(["token", "revoke", "ada"]) == 0
    assert main(create) == 0


@pytest.mark.parametrize(
    "words",
    [
        ["status", "shpo"],
        ["history", "shpo"],
        ["plan", "shpo"],
        ["deploy", "shpo", "--revision", "a" * 40],
        ["redeploy", "shpo"],
        ["rollback", "shpo"],
        ["token", "create", "--app", "shpo", "--can", "read", "--name", "ada"],
    ],
)
def test_w7_a_misspelt_app_is_answered_with_the_nearest_one(
    config: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    told = capsys.readouterr()
    assert told.out == "" and "'shpo'" in told.err and "[not-found]" in told.err
    assert "`deployer config check`" in told.err
    assert "did you mean 'shop'?" in told.err and "admin" not in told.err
    assert main(["config", "check"]) == 0
    assert "admin: acme/admin" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["stauts"], "no verb 'stauts'; did you mean 'status'?"),
        (["token", "crate"], "no verb 'crate'; did you mean 'create'?"),
        (["roll-back", "shop"], "no verb 'roll-back'; did you mean 'rollback'?"),
        (["zzz"], "no verb 'zzz'; verbs: serve, web, worker, "),
    ],
)
def test_w7_a_misspelt_verb_is_answered_with_the_nearest_one(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and told in capsys.readouterr().err


def test_w7_an_app_like_none_is_answered_without_a_proposal(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "zzz"]) == 1
    told = capsys.readouterr().err
    assert "hint: `deployer config check` lists the apps" in told and "mean" not in told


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "\x1b[2J", "x" * 65])
def test_w7_a_token_without_a_readable_name_is_refused(
    config: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["token", "create", "--app", "shop", "--can", "read", "--name", name])
    assert ended.value.code == 2 and "should be 1 to 64 characters" in capsys.readouterr().err
    assert main(["token", "list"]) == 0 and capsys.readouterr().out == ""


def test_w7_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"deployer {__version__}\n"


def test_w7_status_takes_an_environment(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "shop", "staging"]) == 1
    assert "app shop has no environment 'staging'" in capsys.readouterr().err


def test_w7_the_beginning_of_an_id_is_enough(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = build(config)
    jobs = [DeployJob(app, "production", Kind.REDEPLOY, Trigger.CLI, "ada") for app in ("shop", "admin")]
    one, other = (parts.store.queue.enqueue(job, 1_790_000_000.0 + n)[0] for n, job in enumerate(jobs))
    assert main(["show", one.id[:12]]) == 0
    assert capsys.readouterr().out.startswith(f"deployment {one.id} of shop")
    assert main(["show", one.id[:4]]) == 1
    told = capsys.readouterr().err
    assert f"more than one deployment begins with {one.id[:4]}" in told and f"{other.id}, {one.id}" in told
    for wrong in ("", "f" * 12, "%", "_" * 24):
        assert main(["show", wrong]) == 1
        assert "[not-found]" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [80, 40])
def test_w7_a_terminal_is_asked_for_its_width(config: Path, columns: int) -> None:
    job = DeployJob("shop", "production", Kind.REDEPLOY, Trigger.CLI, "ada")
    build(config).store.queue.enqueue(job, 1_790_000_000.0)
    command = f'{sys.executable} -c \'from deployer.cli import main; main(["history", "shop"])\''
    env = {**os.environ, "COLUMNS": str(columns)}
    shown = subprocess.run(
        ["script", "-qec", command, "/dev/null"], check=True, capture_output=True, text=True, env=env
    ).stdout
    assert "queued" in shown and max(map(len, shown.splitlines())) <= columns


def test_the_audit_log_is_listed_and_verified(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify"]) == 0
    assert capsys.readouterr().out.startswith("0 entries hold; head 0:")
    create = ["token", "create", "--app", "shop", "--can", "read", "--name", "ada"]
    assert main(create) == 0
    assert main(["token", "revoke", "ada"]) == 0
    capsys.readouterr()
    assert main(["audit", "list"]) == 0
    granted, revoked = capsys.readouterr().out.splitlines()
    assert " grant shop " in granted and "can=read" in granted and " revoke " in revoked
    assert main(["audit", "list", "--json", "--limit", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["action"] == "revoke"
    assert main(["audit", "verify"]) == 0
    head = capsys.readouterr().out.split()[-1]
    assert head.startswith("2:") and main(["audit", "verify", "--head", head]) == 0
    assert main(["audit", "verify", "--head", f"2:{'0' * 64}"]) == 1
    assert "[audit-broken]" in capsys.readouterr().err
    assert main(["audit", "verify", "--head", "2"]) == 1
    assert "--head: should be N:HASH" in capsys.readouterr().err


def test_a_revision_is_not_queued_where_its_compose_file_cannot_be_read(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "shop", "--revision", "a" * 40]) == 1
    assert "github.token-file: is not set: the Compose file is read from GitHub" in capsys.readouterr().err
    assert main(["history", "shop"]) == 0
    assert capsys.readouterr().out == "no deployments yet\n"


def test_who_types_is_recorded_also_behind_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    assert me() == ("cli:ada" if os.geteuid() == 0 else f"cli:{getpass.getuser()}")
    monkeypatch.delenv("SUDO_USER")
    assert me() == f"cli:{getpass.getuser()}"


def test_root_looks_after_a_state_folder_as_its_owner_does(config: Path) -> None:
    """Or it would see a drift that there is not: the edge runs as whoever owns what it reads."""
    folder = config.parent / "owned"
    folder.mkdir()
    mine = os.geteuid() == 0
    if mine:
        os.chown(folder, 10_001, 10_002)
    edges = ProjectEdges(folder, "haproxy:3.0-alpine")
    expected = "10001:10002" if mine else f"{os.geteuid()}:{os.getegid()}"
    assert edges.settings("shop").user == expected


def test_no_line_of_an_event_reaches_the_terminal_with_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A hook or a replica prints what it likes: `ESC ]52;` writes the clipboard, `ESC [2J` clears."""
    evil = "\x1b]52;c;ZXZpbA==\x07", "\x1b[2J\x1b[1;1H", "\x9b31m", "\u202eabc", "a\rb", "\x08\x08", "x\x00y"
    text = "\n".join(("said:\x1b[2J", *evil, "  create  backend\tnew"))
    print_events([Event(1, 2.0, "hook", text)], begun=1.0)
    shown = capsys.readouterr().out
    assert not [sign for sign in shown if sign != "\n" and not sign.isprintable()]
    assert f"{'':>21}  create  backend" in shown, "columns stay"
