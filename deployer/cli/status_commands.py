"""Verbs that only read: plan, status, history, show. In: parsed arguments. Out: text for people, or JSON.
Never changes anything.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import time
from dataclasses import asdict

from deployer.bootstrap import Server, build, config_path
from deployer.cli.arguments import Verbs, add_verb, app_of, limit, revision
from deployer.cli.output import print_events, print_state, terminal_width
from deployer.core.config.settings import App, Environment
from deployer.core.errors import NotFound
from deployer.core.model import DeployJob, Kind, Release, Trigger
from deployer.core.reporting.deployment_text import history_table
from deployer.core.reporting.environment_status import Overview, overview_text
from deployer.deployment.dry_run import drift_from, plan_of_job, plan_of_release
from deployer.deployment.release.release_assembly import tasks_run


def add_looking(verbs: Verbs) -> None:
    plan = add_verb(verbs, "plan", "show the steps of a deploy without running them", _plan, place=True)
    plan.add_argument(
        "--revision", default="", type=revision, help="commit to plan (default: the serving release)"
    )
    status = add_verb(
        verbs, "status", "show the serving release of each environment, and any drift from it", _status
    )
    status.add_argument("app", nargs="?", default="", help="show only this app (default: all)")
    status.add_argument(
        "environment", nargs="?", default="", help="show only this environment (default: all)"
    )
    history = add_verb(verbs, "history", "show past deployments, newest first", _history, place=True)
    history.add_argument(
        "--limit", type=limit, default=20, metavar="N", help="show at most N deployments (default 20)"
    )
    show = add_verb(verbs, "show", "show one deployment: events, result, measured availability", _show)
    show.add_argument("id", help="id in `history`, or its beginning")
    for verb in (status, history, show):
        verb.add_argument("--json", action="store_true", help="print JSON")


def _plan(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    app, environment = place(parts, arguments)
    if arguments.revision:
        print(plan_of_job(job_of(arguments), parts.context))
    else:
        release = _served(parts, app, environment)
        tasks = _tasks_run(parts, app, environment, release)
        print(plan_of_release(environment, release, parts.context, tasks=tasks))
    return 0


def _served(parts: Server, app: App, environment: Environment) -> Release:
    serving = parts.store.deployments.serving(app.name, environment.name)
    if serving is None:
        raise NotFound(
            f"nothing was deployed to {app.name}/{environment.name} yet",
            hint="--revision plans a first deploy",
        )
    return parts.store.releases.get(serving.release)


def _tasks_run(parts: Server, app: App, environment: Environment, release: Release) -> bool:
    """True if a redeploy would run the release's one-shot tasks; otherwise a missing finished task is no
    drift.
    """
    job = DeployJob(app.name, environment.name, Kind.REDEPLOY, Trigger.CLI, "")
    return tasks_run(job, release.id, parts.context)


def _status(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    views = [_look(parts, app, environment) for app, environment in _places(parts, arguments)]
    if arguments.json:
        print(json.dumps([view.facts() for view in views], indent=2))
    else:
        print("\n\n".join(overview_text(view, time.time(), terminal_width()) for view in views))
    return 1 if any(view.drifted for view in views) else 0


def _places(parts: Server, arguments: argparse.Namespace) -> list[tuple[App, Environment]]:
    """Returns the environments that the arguments name. Raises NotFound."""
    if arguments.environment:
        return [place(parts, arguments)]
    apps = [app_of(parts.config, arguments.app)] if arguments.app else parts.config.apps.values()
    return [(app, environment) for app in apps for environment in app.environments.values()]


def _look(parts: Server, app: App, environment: Environment) -> Overview:
    serving = parts.store.deployments.serving(app.name, environment.name)
    observed = parts.context.target.observe(environment.project)
    release = parts.store.releases.get(serving.release) if serving else None
    plan = None
    if release:
        tasks = _tasks_run(parts, app, environment, release)
        plan = drift_from(environment, release, parts.context, tasks=tasks)
    return Overview(app.name, environment.name, environment.url, serving, observed, plan)


def _history(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    place(parts, arguments)
    rows = parts.store.deployments.history(arguments.app, arguments.environment, arguments.limit)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print(history_table(rows, time.time(), terminal_width()))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    parts = build(config_path(arguments.config))
    deployment = parts.store.deployments.find(arguments.id)
    events = parts.store.events.read(deployment.id)
    if arguments.json:
        print(json.dumps(asdict(deployment) | {"events": [asdict(event) for event in events]}, indent=2))
    else:
        print(f"deployment {deployment.id} of {deployment.app} to {deployment.environment}")
        print_events(events, deployment.created_at)
        print_state(deployment)
    return 0


def place(parts: Server, arguments: argparse.Namespace) -> tuple[App, Environment]:
    app = app_of(parts.config, arguments.app)
    return app, app.environment(arguments.environment)


def job_of(arguments: argparse.Namespace) -> DeployJob:
    return DeployJob(
        arguments.app, arguments.environment, Kind.DEPLOY, Trigger.CLI, me(), revision=arguments.revision
    )


def me() -> str:
    """Returns the name of the person at the terminal for the audit log, also behind sudo. Root is trusted to
    name the person.
    """
    behind = "" if os.geteuid() else os.environ.get("SUDO_USER", "")
    return f"cli:{behind or getpass.getuser()}"
