"""Verbs that start deployments: deploy, redeploy, rollback, recover. In: parsed arguments. Out: a queued
deployment, its events until its end.

Only queues and follows a deployment; the running receiver does the work.
"""

from __future__ import annotations

import argparse
import sys
import time

from deployer.bootstrap import Server, build, config_path, start_log
from deployer.cli.arguments import Verbs, add_verb, revision
from deployer.cli.output import print_events, print_state
from deployer.cli.status_commands import job_of, me, place
from deployer.core.auth.api_tokens import Right, Token
from deployer.core.errors import ConfigError
from deployer.core.model import Kind, Status, Trigger
from deployer.core.reporting.deployment_text import one_line
from deployer.ingress.receiver import Receipt, accept_manual

_PICKUP = 15.0  # seconds until a deployment that no worker claims causes a warning
_TICK = 0.1


def add_acting(verbs: Verbs) -> None:
    for kind, text in (
        ("redeploy", "deploy the serving release again"),
        ("rollback", "roll back to the previous release"),
    ):
        verb = add_verb(verbs, kind, text, _manual, place=True)
        verb.add_argument("--release", default="", help="id of another release (`history` shows them)")
        verb.add_argument(
            "--run-tasks",
            action="store_true",
            help="also run the one-shot tasks (migrations) of a release that was deployed before",
        )
        verb.set_defaults(kind=Kind(kind))
    add_verb(verbs, "recover", "fetch webhook deliveries that failed while the server was down", _recover)
    deploy = add_verb(
        verbs, "deploy", "deploy a revision whose images are in the registry", _deploy, place=True
    )
    deploy.add_argument("--revision", required=True, type=revision, help="full commit id")


def _recover(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    if parts.recover_missed is None:
        raise ConfigError("github", "token-file or app-id should be set, and an app that takes webhooks")
    start_log()
    receipts = parts.recover_missed()
    for receipt in receipts:
        named = f" {receipt.deployment.id}" if receipt.deployment else ""
        print(f"{receipt.outcome}{named}" + (f": {one_line(receipt.reason)}" if receipt.reason else ""))
    print(f"{len(receipts)} missed deliveries were taken")
    parts.close()
    return 0


def _manual(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    place(parts, arguments)
    token = Token(me(), arguments.app, frozenset(Right), time.time(), None)
    receipt = accept_manual(
        parts.receiver,
        principal=token,
        app=arguments.app,
        environment=arguments.environment,
        kind=arguments.kind,
        release=arguments.release,
        run_tasks=arguments.run_tasks,
        trigger=Trigger.CLI,
    )
    return _follow(parts, receipt)


def _deploy(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    place(parts, arguments)
    if not parts.config.github_token_file:
        hint = (
            "or deploy with the action, which sends the Compose file; `redeploy` and `rollback` need no token"
        )
        raise ConfigError("github.token-file", "is not set: the Compose file is read from GitHub", hint=hint)
    deployment, outcome = parts.store.queue.enqueue(job_of(arguments), time.time())
    return _follow(parts, Receipt(outcome, deployment, ""))


def _follow(parts: Server, receipt: Receipt) -> int:
    """Prints the deployment's events until its end. Returns the exit code."""
    assert receipt.deployment
    deployment, seen, waited = receipt.deployment, 0, False
    print(f"deployment {deployment.id} of {deployment.app} to {deployment.environment}")
    begun = time.monotonic()
    while True:
        deployment = parts.store.deployments.get(deployment.id)
        events = parts.store.events.read(deployment.id, seen)
        print_events(events, deployment.created_at)
        seen = events[-1].n if events else seen
        if deployment.status.final:
            break
        if deployment.status is Status.QUEUED and not waited and time.monotonic() - begun > _PICKUP:
            waited = True
            print("still queued: is the receiver running? `deployer serve` starts it", file=sys.stderr)
        time.sleep(_TICK)
    print_state(deployment)
    parts.close()
    return 0 if deployment.status is Status.SUCCESS else 1
