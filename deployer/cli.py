"""The `deployer` command on the server. In: argv. Out: text for people, exit code 0 when it went well, 1 when
not, 2 for wrong words.

Works on the server's own state folder, so it needs no token: who may read the settings may deploy. It asks
and follows; the running receiver does the work.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeAlias

from deployer.bootstrap import Parts, build, config_path, load
from deployer.core.access import Right, Token
from deployer.core.config import App, Environment
from deployer.core.errors import ConfigError, DeployerError, NotFound
from deployer.core.images import REVISION
from deployer.core.model import Event, Kind, Release, Status, Wish
from deployer.core.order import Outcome
from deployer.core.overview import Overview, overview_text
from deployer.core.reporting import history_table, one_line
from deployer.deploy import plan_of_release, plan_of_wish
from deployer.intake import Receipt, accept_manual
from deployer.web.server import main as serve

_PICKUP = 15.0  # seconds until a queued deployment that nobody claims is worth a word
_TICK = 0.1
_DAY = 86_400.0
_MOST_DAYS, _MOST_ROWS = 3650, 10_000
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_COLOURS = {"success": 32, "failure": 31, "error": 31, "failed": 31, "rollback": 33, "log": 2}


def main(argv: Sequence[str] | None = None) -> int:
    """The console script."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except DeployerError as error:
        print(f"deployer: {error.diagnostics()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deployer", description="Deploys Docker Compose applications on this server."
    )
    parser.add_argument(
        "--config", default="", help="settings file (default: $DEPLOYER_CONFIG or /etc/deployer/config.toml)"
    )
    parser.set_defaults(run=_help_of(parser))
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    _verb(verbs, "serve", "serve webhooks and deploy requests", lambda a: serve(a.config))
    for kind, text in (
        ("redeploy", "deploy what serves once more"),
        ("rollback", "go back to an earlier release"),
    ):
        verb = _verb(verbs, kind, text, _manual, place=True)
        verb.add_argument(
            "--release", default="", help="this release instead of the usual one (see history --json)"
        )
        verb.set_defaults(kind=Kind(kind))
    deploy = _verb(verbs, "deploy", "deploy a revision whose images are in the registry", _deploy, place=True)
    deploy.add_argument("--revision", required=True, type=_revision, help="full commit id")
    plan = _verb(verbs, "plan", "show what a deploy would do, and do nothing", _plan, place=True)
    plan.add_argument(
        "--revision", default="", type=_revision, help="of this commit (default: the release that serves)"
    )
    status = _verb(verbs, "status", "what serves, and whether it is what was deployed", _status)
    status.add_argument("app", nargs="?", default="", help="only this app (default: all)")
    history = _verb(verbs, "history", "past deployments, newest first", _history, place=True)
    history.add_argument("--limit", type=_limit, default=20, metavar="N", help="at most so many (default 20)")
    for verb in (status, history):
        verb.add_argument("--json", action="store_true", help="for machines")
    _config_verbs(verbs)
    _token_verbs(verbs)
    return parser


def _config_verbs(verbs: _Verbs) -> None:
    config = _group(verbs, "config", "look at the settings")
    _verb(config, "check", "read and check all settings, secrets and variables files", _check)


def _token_verbs(verbs: _Verbs) -> None:
    token = _group(verbs, "token", "people's tokens for the HTTP API")
    create = _verb(token, "create", "make one; it is shown this once", _create_token)
    create.add_argument("--app", required=True, help="the app it is for")
    create.add_argument("--can", required=True, help="comma-separated: deploy, redeploy, rollback, read")
    create.add_argument("--name", required=True, help="whose it is, for the record")
    create.add_argument("--days", type=_days, default=90.0, help="days until it expires (default 90)")
    _verb(token, "list", "names, rights and ends", _list_tokens)
    _verb(token, "revoke", "end one", _revoke_token).add_argument("name", help="as `token list` shows it")


def _group(verbs: _Verbs, name: str, text: str) -> _Verbs:
    """A verb that has verbs; alone it prints its help."""
    parser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(run=_help_of(parser))
    return parser.add_subparsers(title="verbs", metavar="VERB")


def _help_of(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def print_help(_arguments: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    return print_help


def _verb(
    verbs: _Verbs,
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int],
    *,
    place: bool = False,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    if place:
        parser.add_argument("app", help="its name in the settings")
        parser.add_argument("environment", nargs="?", default="production", help="default: production")
    return parser


def _revision(text: str) -> str:
    if text and not REVISION.fullmatch(text):
        raise argparse.ArgumentTypeError("should be a full commit id, 40 hex digits")
    return text


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_ROWS:
        raise argparse.ArgumentTypeError(f"should be a number from 1 to {_MOST_ROWS}")
    return int(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= _MOST_DAYS:  # false for nan as well
        raise argparse.ArgumentTypeError(f"should be a number of days above 0, at most {_MOST_DAYS}")
    return days


# Doing


def _manual(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    me = Token(f"cli:{getpass.getuser()}", arguments.app, frozenset(Right), time.time(), None)
    receipt = accept_manual(
        parts.intake,
        principal=me,
        app=arguments.app,
        environment=arguments.environment,
        kind=arguments.kind,
        release=arguments.release,
        trigger="cli",
    )
    return _follow(parts, receipt)


def _deploy(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    _place(parts, arguments)
    deployment, outcome = parts.store.enqueue(_wish(arguments), time.time())
    return _follow(parts, Receipt(Outcome(outcome), deployment, ""))


def _wish(arguments: argparse.Namespace) -> Wish:
    who = f"cli:{getpass.getuser()}"
    return Wish(arguments.app, arguments.environment, Kind.DEPLOY, "cli", who, revision=arguments.revision)


def _follow(parts: Parts, receipt: Receipt) -> int:
    """Prints the deployment's story until its end."""
    assert receipt.deployment
    deployment, seen, waited = receipt.deployment, 0, False
    print(f"deployment {deployment.id} of {deployment.app} to {deployment.environment}")
    begun = time.monotonic()
    while True:
        deployment = parts.store.deployment(deployment.id)
        for event in parts.store.events(deployment.id, seen):
            seen = event.n
            _print_event(event, deployment.created_at)
        if deployment.status.final:
            break
        if deployment.status is Status.QUEUED and not waited and time.monotonic() - begun > _PICKUP:
            waited = True
            print("still queued: is the receiver running? `deployer serve` starts it", file=sys.stderr)
        time.sleep(_TICK)
    print(
        _coloured(deployment.status.value, deployment.status.value)
        + (f": {one_line(deployment.reason)}" if deployment.reason else "")
    )
    parts.close()
    return 0 if deployment.status is Status.SUCCESS else 1


def _print_event(event: Event, begun: float) -> None:
    first, *rest = event.text.splitlines() or [""]
    print(f"{event.at - begun:7.2f} s  {_coloured(f'{event.kind:<8}', event.kind)}  {one_line(first)}")
    for line in rest:
        print(f"{'':>21}{line}")


def _coloured(text: str, kind: str) -> str:
    colour = _COLOURS.get(kind)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and sys.stdout.isatty() else text


# Looking


def _plan(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    app, environment = _place(parts, arguments)
    if arguments.revision:
        print(plan_of_wish(_wish(arguments), parts.world))
    else:
        print(plan_of_release(environment, _served(parts, app, environment), parts.world))
    return 0


def _served(parts: Parts, app: App, environment: Environment) -> Release:
    serving = parts.store.serving(app.name, environment.name)
    if serving is None:
        raise NotFound(
            f"nothing was deployed to {app.name}/{environment.name} yet",
            hint="--revision plans a first deploy",
        )
    return parts.store.release(serving.release)


def _status(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    apps = [parts.config.app(arguments.app)] if arguments.app else list(parts.config.apps.values())
    views = [_look(parts, app, environment) for app in apps for environment in app.environments.values()]
    if arguments.json:
        print(json.dumps([view.facts() for view in views], indent=2))
    else:
        print("\n\n".join(overview_text(view, time.time()) for view in views))
    return 1 if any(view.drifted for view in views) else 0


def _look(parts: Parts, app: App, environment: Environment) -> Overview:
    serving = parts.store.serving(app.name, environment.name)
    observed = parts.world.target.observe(environment.project)
    release = parts.store.release(serving.release) if serving else None
    plan = plan_of_release(environment, release, parts.world) if release else None
    return Overview(app.name, environment.name, environment.url, serving, observed, plan)


def _history(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    _place(parts, arguments)
    rows = parts.store.deployments(arguments.app, arguments.environment, arguments.limit)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print(history_table(rows, time.time()))
    return 0


def _place(parts: Parts, arguments: argparse.Namespace) -> tuple[App, Environment]:
    app = parts.config.app(arguments.app)
    return app, app.environment(arguments.environment)


# Settings and tokens


def _check(arguments: argparse.Namespace) -> int:
    path = config_path(arguments.config)
    config = load(path)
    print(f"{path}: ok")
    for app in config.apps.values():
        hooks = (
            f"{len(app.webhook_secret_files)} webhook secret(s)"
            if app.webhook_secret_files
            else "no webhooks"
        )
        print(f"  {app.name}: {app.repository}, {hooks}")
        for environment in app.environments.values():
            where = f", {environment.url}" if environment.url else ""
            print(
                f"    {environment.name}: branch {environment.branch}, project {environment.project}{where}"
            )
    return 0


def _create_token(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    parts.config.app(arguments.app)
    now = time.time()
    secret = parts.store.create_token(
        name=arguments.name,
        app=arguments.app,
        can=_rights(arguments.can),
        expires_at=now + arguments.days * _DAY,
        now=now,
    )
    print("This token is shown once:", file=sys.stderr)
    print(secret)
    return 0


def _rights(text: str) -> frozenset[Right]:
    try:
        return frozenset(Right(word.strip()) for word in text.split(","))
    except ValueError:
        raise ConfigError("--can", f"should be some of {', '.join(Right)}") from None


def _list_tokens(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    for token in parts.store.tokens():
        end = (
            "for ever"
            if token.expires_at is None
            else time.strftime("until %Y-%m-%d", time.localtime(token.expires_at))
        )
        print(f"{token.name:<24} {token.app:<16} {','.join(sorted(token.can)):<32} {end}")
    return 0


def _revoke_token(arguments: argparse.Namespace) -> int:
    build(config_path(arguments.config)).store.revoke_token(arguments.name)
    print(f"{arguments.name} is revoked")
    return 0
