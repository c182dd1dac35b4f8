"""Who may deploy what, decided on the server. In: a verified delivery, verified claims or a known person.
Out: a decision.

Everything is compared exactly: no Unicode normalising, no prefix (`refs/heads/refs/heads/main` is a legal
ref), and case counts but for environments, whose case GitHub itself ignores. A repository is its id, never
its name. Whether a run is too old is the store's question.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deployer.core.access import Right, Token
from deployer.core.branches import matches, ref_pattern
from deployer.core.config import App, Config, Environment
from deployer.core.delivery import Delivery, WorkflowRun, ping_of, workflow_run_of
from deployer.core.errors import Forbidden
from deployer.core.images import Image
from deployer.core.model import Deployment, Kind, Run, Status, Wish
from deployer.core.request import DeployRequest

DEPLOYING_EVENTS = ("push", "workflow_dispatch")  # the others run in a context that strangers can start
# Nobody from outside starts these either, and the action deploys from them only where its `branches` says so.
_CLAIMED_EVENTS = (*DEPLOYING_EVENTS, "release", "schedule")
_WEBHOOK_EVENT = "workflow_run"
_RIGHTS = {Kind.DEPLOY: Right.DEPLOY, Kind.REDEPLOY: Right.REDEPLOY, Kind.ROLLBACK: Right.ROLLBACK}


@dataclass(frozen=True)
class Deploy:
    """The delivery asks for a deployment."""

    wish: Wish
    note: str = ""  # what somebody should know who reads the answer


@dataclass(frozen=True)
class Ignore:
    """The delivery is in order and starts nothing."""

    reason: str


def decide(delivery: Delivery, config: Config) -> Deploy | Ignore:
    """What a delivery starts on a server with these apps. Raises PayloadRejected where the body is not what
    it claims.
    """
    if delivery.event == "ping":
        return Ignore(_answer_ping(delivery))
    if delivery.event != _WEBHOOK_EVENT:
        return Ignore(f"the event {delivery.event} starts nothing; {_WEBHOOK_EVENT} does")
    run = workflow_run_of(delivery)
    unfit = _unfit_run(run)
    return Ignore(unfit) if unfit else _place(run, config)


def authorise_claims(claims: Mapping[str, object], request: DeployRequest, config: Config) -> Wish:
    """A wish that the OIDC token's claims cover in every point; raises Forbidden with the claim that does
    not.
    """
    app = _app_of_claims(claims, request, config)
    environment = app.environment(request.environment)
    _require(claims, "repository_owner_id", str(app.owner_id))
    _require_match(claims, "ref", ref_pattern(environment.branch))
    if claims.get("event_name") not in _CLAIMED_EVENTS:
        raise _claim_refused("event_name", " or ".join(_CLAIMED_EVENTS), claims)
    _require(claims, "sha", request.revision)
    _require(claims, "run_number", str(request.run.number))
    _require(claims, "run_attempt", str(request.run.attempt))
    workflow = _workflow_of(claims)
    if environment.workflow and workflow != environment.workflow:
        raise _claim_refused("workflow_ref", environment.workflow, claims)
    if environment.protected and not _is_environment(claims.get("environment"), environment.name):
        raise _claim_refused("environment", environment.name, claims)
    check_images(app, request.images)
    return _wish(
        request, app, "action", actor=str(claims.get("actor", "")), run=request.run, workflow=workflow
    )


def authorise_plan(claims: Mapping[str, object], request: DeployRequest, config: Config) -> Wish:
    """What a pull request would deploy once it is merged into the environment's branch; nothing is deployed.

    GitHub gives no token to a pull request from a fork, unless the repository's owner wants it to.
    """
    app = _app_of_claims(claims, request, config)
    environment = app.environment(request.environment)
    if not environment.plans:
        raise Forbidden(
            f"{environment.name} answers no plans",
            hint=f"apps.{app.name}.environments.{environment.name}.plans",
        )
    _require(claims, "repository_owner_id", str(app.owner_id))
    _require(claims, "event_name", "pull_request")
    _require_match(claims, "base_ref", environment.branch)
    _require(claims, "sha", request.revision)
    check_images(app, request.images)
    return _wish(request, app, "action", actor=str(claims.get("actor", "")), run=request.run, workflow="")


def authorise_person(token: Token, request: DeployRequest, config: Config) -> Wish:
    """A wish from somebody with a token of their own: no claims, so the token's app and rights decide."""
    require_right(token, Kind.DEPLOY, request.app or token.app)
    app = config.app(token.app)
    if request.repository.lower() != app.repository.lower():
        raise Forbidden(f"repository: the token is for {app.repository}")
    app.environment(request.environment)
    check_images(app, request.images)
    run = request.run if request.run != Run() else None  # 0.0: not from a run, so nothing is newer or older
    return _wish(request, app, "api", actor=token.name, run=run, workflow="")


def authorise_signed(signers: Collection[str], request: DeployRequest, config: Config) -> Wish:
    """A wish signed with the webhook secret of the apps `signers`: it cannot show run, workflow or
    environment, so it deploys only where none of these is demanded.
    """
    apps = [
        app
        for name in sorted(signers)
        if (app := config.app(name)).repository.lower() == request.repository.lower()
    ]
    if not apps:
        raise Forbidden("repository: the request is signed with another repository's secret")
    app = _named(apps, request.app)
    environment = app.environment(request.environment)
    for demanded, setting in (
        (environment.protected, "require-environment-claim"),
        (environment.workflow, "workflow"),
    ):
        if demanded:
            raise Forbidden(
                f"{environment.name}: its setting {setting} asks for what a signed request cannot show",
                hint="let the job ask for a token, `permissions: id-token: write`, or change the setting",
            )
    check_images(app, request.images)
    return _wish(request, app, "action", actor=request.actor, run=request.run, workflow="")


def require_right(token: Token, kind: Kind, app: str) -> None:
    """Raises Forbidden; the answer is the same whether or not another app of that name exists."""
    if not token.may(_RIGHTS[kind], app):
        raise Forbidden(
            f"the token {token.name} may not {kind} {app[:80]!r}",
            hint="`deployer token create` gives one that may",
        )


def check_images(app: App, images: Mapping[str, Image]) -> None:
    """Raises Forbidden for the first image, of those the app builds itself, that is none of the app's
    repositories.
    """
    for service, image in images.items():
        if not any(pattern(text).fullmatch(image.repository) for text in app.images):
            raise Forbidden(
                f"service {service}: {image.repository} is not an image repository of {app.name}",
                hint=f"apps.{app.name}.images allows {', '.join(app.images)}",
            )


def previous_serves(serving: Deployment | None, newest: Iterable[Deployment]) -> bool:
    """Whether a rollback now means the release that serves: another one is just being rolled out over it."""
    return serving is not None and any(
        other.status is Status.IN_PROGRESS and other.release != serving.release for other in newest
    )


def _answer_ping(delivery: Delivery) -> str:
    ping = ping_of(delivery)
    wrong = []
    if ping.content_type != "json":
        wrong.append("content type should be application/json")
    if ping.insecure_ssl:
        wrong.append("SSL verification should be enabled")
    if not {_WEBHOOK_EVENT, "*"} & set(ping.events):
        wrong.append(f"events should include {_WEBHOOK_EVENT} (Workflow runs)")
    return f"webhook settings: {'; '.join(wrong)}" if wrong else "pong"


def _unfit_run(run: WorkflowRun) -> str:
    """Why no environment anywhere would take this run; empty where one may."""
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
    apps = [app for app in config.apps.values() if app.repository_id == run.repository_id]
    if not apps:
        return Ignore("no app with this webhook secret has this repository id")
    fitting = [(app, env) for app in apps for env in app.environments.values() if _fits(run, env)]
    if not fitting:
        return Ignore(f"no environment takes branch {run.head_branch!r} and workflow {run.path!r}")
    if len(fitting) > 1:
        names = ", ".join(f"{app.name}/{env.name}" for app, env in fitting)
        return Ignore(f"the run fits {names}: set `workflow` so that it fits one of them")
    app, environment = fitting[0]
    if environment.protected:
        return Ignore(
            f"{environment.name} requires the environment claim, which only the action's request carries"
        )
    return Deploy(
        Wish(
            app=app.name,
            environment=environment.name,
            kind=Kind.DEPLOY,
            trigger="webhook",
            actor=run.actor,
            revision=run.head_sha,
            run=Run(run.run_number, run.run_attempt),
            workflow=run.path,
        ),
        _renamed(app, run.repository),
    )


def _renamed(app: App, repository: str) -> str:
    if repository.lower() in ("", app.repository.lower()):
        return ""
    return f"the repository is now {repository}: apps.{app.name}.repository should say so"


def _fits(run: WorkflowRun, environment: Environment) -> bool:
    return run.head_branch == environment.branch and environment.workflow in ("", run.path)


def _app_of_claims(claims: Mapping[str, object], request: DeployRequest, config: Config) -> App:
    apps = [app for app in config.apps.values() if claims.get("repository_id") == str(app.repository_id)]
    if not apps:
        raise Forbidden(
            f"repository_id: no app on this server has {_shown(claims, 'repository_id')}",
            hint="the app's repository-id in the server's settings must be the repository's id on GitHub",
        )
    return _named(apps, request.app)


def _named(apps: Sequence[App], name: str) -> App:
    """The one that the request means, of those that share its repository."""
    named = [app for app in apps if name in ("", app.name)]
    if not named:
        raise Forbidden(f"app: {name!r} is no app of this repository")
    if len(named) > 1:
        raise Forbidden(
            "app: several apps share this repository", hint="name one of them in the action's `app` input"
        )
    return named[0]


def _workflow_of(claims: Mapping[str, object]) -> str:
    """`O/R/.github/workflows/f.yml@REF` → `.github/workflows/f.yml`; both the file name and the ref may hold
    an `@`.

    The ref is known from its own claim, so it is taken off the end; where GitHub put a commit there, from the
    last `@`.
    """
    whole, ref = str(claims.get("workflow_ref", "")), str(claims.get("ref", ""))
    named = whole.removesuffix(f"@{ref}") if ref and whole.endswith(f"@{ref}") else whole.rpartition("@")[0]
    return "/".join(named.split("/")[2:])


def _is_environment(claim: object, name: str) -> bool:
    """GitHub's environment names ignore case. ASCII only: `.lower()` also makes a `k` of the Kelvin sign."""
    return isinstance(claim, str) and claim.isascii() and claim.lower() == name


def _require(claims: Mapping[str, object], name: str, expected: str) -> None:
    if claims.get(name) != expected:
        raise _claim_refused(name, expected, claims)


def _require_match(claims: Mapping[str, object], name: str, pattern: str) -> None:
    value = claims.get(name)
    if not isinstance(value, str) or not matches(pattern, value):
        raise _claim_refused(name, pattern, claims)


def _claim_refused(name: str, expected: str, claims: Mapping[str, object]) -> Forbidden:
    return Forbidden(f"{name}: the token says {_shown(claims, name)}, the server expects {expected}")


def _shown(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    return "nothing" if value is None else repr(value)[:200]


def pattern(text: str) -> re.Pattern[str]:
    """A repository's pattern of the settings: `*` stands for anything but a slash."""
    return re.compile(r"[^/\s]*".join(re.escape(part) for part in text.split("*")))


def _wish(
    request: DeployRequest, app: App, trigger: str, *, actor: str, run: Run | None, workflow: str
) -> Wish:
    return Wish(
        app=app.name,
        environment=request.environment,
        kind=Kind.DEPLOY,
        trigger=trigger,
        actor=actor[:100],
        revision=request.revision,
        run=run,
        images=request.images,
        bundle=request.bundle,
        credentials=request.credentials,
        workflow=workflow,
        variables=request.variables,
        confirm=request.confirm,
    )
