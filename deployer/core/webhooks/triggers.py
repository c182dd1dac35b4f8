"""Decision about a webhook delivery. In: a verified delivery, and the apps whose secret signed it. Out: a
decision.

Everything is compared exactly: no Unicode normalising, no prefix (`refs/heads/refs/heads/main` is a legal
ref), and case counts except in environments. A repository is its id, never its name. Names in a delivery are
only looked up among the settings' names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from deployer.core.auth.authorization import DEPLOYING_EVENTS, allows_image, check_images, is_environment
from deployer.core.config.settings import App, Config, Environment
from deployer.core.model import DeployJob, Kind, Run, Trigger
from deployer.core.refs import matches
from deployer.core.webhooks.delivery import Delivery, WorkflowRun, ping_of, workflow_run_of
from deployer.core.webhooks.image_events import (
    TASK,
    Announcement,
    Package,
    Started,
    announcement_of,
    app_of,
    images_of,
    package_of,
)

TRIGGERS = ("workflow_run", "deployment", "package", "registry_package")
_NO_APP = "no app with this webhook secret has this repository id"


@dataclass(frozen=True)
class Deploy:
    """The delivery requests a deployment."""

    job: DeployJob
    note: str = ""  # a notice for the reader of the answer


@dataclass(frozen=True)
class Ignore:
    """The delivery is valid and starts nothing."""

    reason: str


@dataclass(frozen=True)
class ImageAnnouncement:
    """Image announcement: an image may complete a release; the worker must check for which of these jobs it
    does.
    """

    jobs: tuple[DeployJob, ...]


def decide(delivery: Delivery, config: Config) -> Deploy | Ignore | ImageAnnouncement:
    """Returns the decision for a server with these apps. Raises PayloadRejected if the body does not match
    its event, Forbidden if it names images of others.
    """
    match delivery.event:
        case "ping":
            return Ignore(_answer_ping(delivery))
        case "workflow_run":
            run = workflow_run_of(delivery)
            unfit = _unfit_run(run)
            return Ignore(unfit) if unfit else _place(run, config)
        case "deployment":
            return _decide_announcement(announcement_of(delivery), config)
        case "package" | "registry_package":
            return _decide_package(package_of(delivery), config)
    return Ignore(f"the event {delivery.event} starts nothing; {', '.join(TRIGGERS)} may")


def _answer_ping(delivery: Delivery) -> str:
    ping = ping_of(delivery)
    wrong = []
    if ping.content_type != "json":
        wrong.append("content type should be application/json")
    if ping.insecure_ssl:
        wrong.append("SSL verification should be enabled")
    if not {*TRIGGERS, "*"} & set(ping.events):
        wrong.append(f"events should include one of {', '.join(TRIGGERS)}")
    return f"webhook settings: {'; '.join(wrong)}" if wrong else "pong"


def _unfit_run(run: WorkflowRun) -> str:
    """Returns why no environment anywhere would accept this run; empty if one may."""
    if run.action != "completed":
        return f"the run is {run.action}, not completed"
    if run.conclusion != "success":
        return f"the run ended with {run.conclusion or 'no conclusion'}"
    if run.event not in DEPLOYING_EVENTS:
        return f"the run was started by {run.event}, not by {' or '.join(DEPLOYING_EVENTS)}"
    if run.head_repository_id != run.repository_id:
        return "the run comes from a fork"
    return ""


def _place(run: WorkflowRun, config: Config) -> Deploy | Ignore:
    apps = _apps_of(run.repository_id, config)
    if not apps:
        return Ignore(_NO_APP)
    fitting = [(app, env) for app in apps for env in app.environments.values() if _fits(run, env)]
    if not fitting:
        return Ignore(f"no environment accepts branch {run.head_branch!r} and workflow {run.path!r}")
    if len(fitting) > 1:
        names = ", ".join(f"{app.name}/{env.name}" for app, env in fitting)
        return Ignore(f"the run fits {names}: set `workflow` so that it fits one of them")
    app, environment = fitting[0]
    if environment.protected:
        return Ignore(_wants_claim(environment))
    return Deploy(
        DeployJob(
            app=app.name,
            environment=environment.name,
            kind=Kind.DEPLOY,
            trigger=Trigger.WEBHOOK,
            actor=run.actor,
            revision=run.head_sha,
            run=Run(run.run_number, run.run_attempt),
            workflow=run.path,
            branch=_named(environment, run.head_branch),
        ),
        _renamed(app, run.repository),
    )


def _renamed(app: App, repository: str) -> str:
    if repository.lower() in ("", app.repository.lower()):
        return ""
    return f"the repository is now {repository}: apps.{app.name}.repository should say so"


def _fits(run: WorkflowRun, environment: Environment) -> bool:
    return matches(environment.branch, run.head_branch) and environment.workflow in ("", run.path)


def _named(environment: Environment, branch: str) -> str:
    """Returns the branch if the setting is a pattern; empty if the setting names it already."""
    return "" if branch == environment.branch else branch


def _decide_announcement(made: Announcement, config: Config) -> Deploy | Ignore:
    if made.action != "created" or made.task != TASK:
        return Ignore(
            f"the deployment is {made.action} with the task {made.task!r}, not created with {TASK!r}"
        )
    if not made.payload:
        return Ignore("the deployment's payload is not a release: {schema: 1, images: {SERVICE: IMAGE}}")
    apps = [app for app in _apps_of(made.repository_id, config) if app_of(made) in ("", app.name)]
    if len(apps) != 1:
        return Ignore(_NO_APP if not apps else "several apps share this repository: name one in payload.app")
    environment = _environment_of(made, apps[0])
    if environment is None:
        return Ignore(f"{apps[0].name} has no environment {made.environment!r}")
    unfit = _unfit_announcement(made, environment)
    if unfit:
        return Ignore(unfit)
    images = images_of(made)
    check_images(apps[0], images)
    job = _job(apps[0], environment, made.actor, made.sha)
    assert made.started, "what no run made does not fit"
    run, workflow = made.started.run, made.started.path
    return Deploy(
        replace(
            job,
            images=images,
            run=run,
            workflow=workflow,
            github=made.id,
            branch=_named(environment, made.ref),
        )
    )


def _environment_of(made: Announcement, app: App) -> Environment | None:
    return next(
        (env for env in app.environments.values() if is_environment(made.environment, env.name)), None
    )


def _unfit_announcement(made: Announcement, environment: Environment) -> str:
    """Returns why the environment does not accept the announcement. A client that may write deployments
    chooses ref and commit at will; the run that created it is named by GitHub.
    """
    if not matches(environment.branch, made.ref):
        return f"the deployment is of {made.ref!r}, {environment.name} accepts branch {environment.branch!r}"
    if environment.protected:
        return _wants_claim(environment)
    if made.started is None:
        return "the deployment was not made by a workflow run, which alone shows where its images come from"
    if environment.workflow and made.started.path != environment.workflow:
        return f"the deployment was not made by {environment.workflow}"
    return _unfit_start(made, made.started)


def _unfit_start(made: Announcement, started: Started) -> str:
    if started.event not in DEPLOYING_EVENTS:
        return f"the deployment was made by a run that {started.event} started"
    if (started.head_branch, started.head_sha) != (made.ref, made.sha):
        return f"the deployment was made by a run of {started.head_branch!r} at {started.head_sha[:7]}"
    return ""


def _decide_package(package: Package, config: Config) -> ImageAnnouncement | Ignore:
    unfit = _unfit_package(package)
    if unfit:
        return Ignore(unfit)
    image = f"{config.registry_host}/{package.namespace}/{package.name}".lower()
    jobs = tuple(
        announcement_job(app.name, environment.name, package.actor, package.revision)
        for app, environment in _taking_packages(package, image, config)
    )
    return (
        ImageAnnouncement(jobs) if jobs else Ignore(f"no environment with `packages = true` accepts {image}")
    )


def announcement_job(app: str, environment: str, actor: str, revision: str) -> DeployJob:
    """Returns the deploy job of an announced image. A revision has one release, however many of its images
    are announced.
    """
    job = DeployJob(app, environment, Kind.DEPLOY, Trigger.WEBHOOK, actor, revision=revision)
    return replace(job, run=Run(1, 1), workflow=f"package {revision}")


def _unfit_package(package: Package) -> str:
    if package.action not in ("published", "updated"):
        return f"the package is {package.action}"
    if package.kind not in ("container", "docker"):
        return f"the package is no container but {package.kind or 'unnamed'}"
    if not package.tag:
        return "the image has no tag: it is part of another image, or its announcement is incomplete"
    if package.tag.startswith("sha256-"):
        return "the image is an attestation"
    return "" if package.revision else "the event names no commit"


def _taking_packages(package: Package, image: str, config: Config) -> Iterator[tuple[App, Environment]]:
    """Yields the environments that accept the package. A package that is linked to no repository has none in
    its event; its image must be the app's anyway.
    """
    for app in config.apps.values():
        if package.repository_id in (0, app.repository_id) and allows_image(app, image):
            for environment in app.environments.values():
                if environment.packages and not environment.protected and not environment.workflow:
                    yield app, environment


def _job(app: App, environment: Environment, actor: str, revision: str) -> DeployJob:
    return DeployJob(app.name, environment.name, Kind.DEPLOY, Trigger.WEBHOOK, actor, revision=revision)


def _apps_of(repository_id: int, config: Config) -> list[App]:
    return [app for app in config.apps.values() if app.repository_id == repository_id]


def _wants_claim(environment: Environment) -> str:
    return f"{environment.name} requires the environment claim, which only the action's request carries"
