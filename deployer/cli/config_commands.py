"""Verbs for settings and people's API tokens. In: parsed arguments. Out: text; a new token is printed once,
alone on stdout.
"""

from __future__ import annotations

import argparse
import sys
import time

from deployer.bootstrap import build, config_path, describe_compose, load, open_variables
from deployer.cli.arguments import Verbs, add_group, add_verb, app_of, days, token_name
from deployer.core.auth.api_tokens import Right
from deployer.core.errors import CommandFailed, ConfigError

_DAY = 86_400.0
_OPEN = "names {name}, which only a deploy's request or a committed .env can give; a dollar sign itself is $$"


def add_settings(verbs: Verbs) -> None:
    config = add_group(verbs, "config", "check the settings")
    add_verb(config, "check", "read and check all settings, secrets and variables files", _check)
    token = add_group(verbs, "token", "people's tokens for the HTTP API")
    create = add_verb(token, "create", "create a token; it is shown only once", _create_token)
    create.add_argument("--app", required=True, help="app that the token is for")
    create.add_argument(
        "--can", required=True, help="rights, comma-separated: deploy, redeploy, rollback, read"
    )
    create.add_argument(
        "--name",
        required=True,
        type=token_name,
        help="the token's name, such as its owner's, for the audit log",
    )
    create.add_argument("--days", type=days, default=90.0, help="days until it expires (default 90)")
    add_verb(token, "list", "show all tokens: name, app, rights and expiry", _list_tokens)
    add_verb(token, "revoke", "revoke a token", _revoke_token).add_argument(
        "name", help="name in `token list`"
    )


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
            for name, line in open_variables(environment).items():
                print(f"      {environment.variables_file}:{line}: {_OPEN.format(name=name)}")
    try:
        print(f"  {describe_compose()}")
    except CommandFailed as error:  # the web process needs no Compose
        print(f"  {error.diagnostics()}")
    return 0


def _create_token(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    app_of(parts.config, arguments.app)
    now = time.time()
    secret = parts.store.tokens.create(
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
    for token in parts.store.tokens.all():
        end = (
            "for ever"
            if token.expires_at is None
            else time.strftime("until %Y-%m-%d", time.localtime(token.expires_at))
        )
        print(f"{token.name:<24} {token.app:<16} {','.join(sorted(token.can)):<32} {end}")
    return 0


def _revoke_token(arguments: argparse.Namespace) -> int:
    build(config_path(arguments.config)).store.tokens.revoke(arguments.name, time.time())
    print(f"{arguments.name} is revoked")
    return 0
