"""Authorisation of deploys, decided on the server. In: verified claims, a signed request or a known person.
Out: a deploy job, or Forbidden.

Everything is compared exactly: no Unicode normalising, no prefix (`refs/heads/refs/heads/main` is a legal
ref), and case counts except in environments, whose case GitHub itself ignores. A repository is its id, never
its name. The store decides if a run is too old.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from deployer.core.auth.api_tokens import Right, Token
from deployer.core.config.settings import App, Config, Environment
from deployer.core.errors import Forbidden, ImageNotFound
from deployer.core.images import Image, split_host
from deployer.core.model import Credentials, DeployJob, Deployment, Kind, Run, Status, Trigger
from deployer.core.refs import matches, ref_pattern
from deployer.core.release.proven_images import ProvenQuery
from deployer.core.requests.deploy_request import DeployRequest

DEPLOYING_EVENTS = ("push", "workflow_dispatch")  # a stranger can start the others
# Strangers cannot start these either, and the action deploys from them only if its `branches` says so.
_CLAIMED_EVENTS = (*DEPLOYING_EVENTS, "release", "schedule")
_RIGHTS = {Kind.DEPLOY: Right.DEPLOY, Kind.REDEPLOY: Right.REDEPLOY, Kind.ROLLBACK: Right.ROLLBACK}


def authorise_claims(claims: Mapping[str, object], request: DeployRequest, config: Config) -> DeployJob:
    """Returns the deploy job if the OIDC token's claims cover it in every point; raises Forbidden with the
    claim that does not.
    """
    app, environment, workflow = _authorise_run(claims, request, config)
    check_images(app, request.images)
    actor = str(claims.get("actor", ""))
    job = _job(request, app, Trigger.ACTION, actor=actor, run=request.run, workflow=workflow)
    return replace(job, environment=environment.name, tested=request.tested)


def authorise_query(
    claims: Mapping[str, object], query: ProvenQuery, config: Config
) -> tuple[App, Environment]:
    """Returns the app and environment whose records a run may read: those that it may deploy to. Raises
    Forbidden as for a deploy.
    """
    app, environment, _ = _authorise_run(claims, query, config)
    return app, environment


def _authorise_run(
    claims: Mapping[str, object], request: DeployRequest | ProvenQuery, config: Config
) -> tuple[App, Environment, str]:
    """Returns the app and environment that a run's token matches in every point, and the run's
    workflow file.
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
    if environment.protected and not is_environment(claims.get("environment"), environment.name):
        raise _claim_refused("environment", environment.name, claims)
    return app, environment, workflow


def authorise_plan(claims: Mapping[str, object], request: DeployRequest, config: Config) -> DeployJob:
    """Returns the deploy job of a pull request's merge into the environment's branch, for a plan only.

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
    actor = str(claims.get("actor", ""))
    return _job(request, app, Trigger.ACTION, actor=actor, run=request.run, workflow="")


def authorise_person(token: Token, request: DeployRequest, config: Config) -> DeployJob:
    """Returns the deploy job of a person with an API token: without claims, the token's app and rights
    decide.
    """
    require_right(token, Kind.DEPLOY, request.app or token.app)
    app = config.app(token.app)
    if request.repository.lower() != app.repository.lower():
        raise Forbidden(f"repository: the token is for {app.repository}")
    app.environment(request.environment)
    check_images(app, request.images)
    run = request.run if request.run != Run() else None  # 0.0: not from a run, so nothing is newer or older
    return _job(request, app, Trigger.API, actor=token.name, run=run, workflow="")


def authorise_signed(signers: Collection[str], request: DeployRequest, config: Config) -> DeployJob:
    """Returns the deploy job of a request signed with the webhook secret of the apps `signers`. A signed
    request cannot show run, workflow or environment, so it deploys only where none of these is demanded.
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
    return _job(request, app, Trigger.ACTION, actor=request.actor, run=request.run, workflow="")


def require_right(token: Token, kind: Kind, app: str) -> None:
    """Raises Forbidden if the token lacks the right; the answer is the same if another app of that name
    exists.
    """
    if not token.may(_RIGHTS[kind], app):
        raise Forbidden(
            f"the token {token.name} may not {kind} {app[:80]!r}",
            hint="`deployer token create` gives one that may",
        )


def allows_image(app: App, repository: str) -> bool:
    """True if the app's own images may come from this repository."""
    others = (f"{other}{end}" for other in app.other_repositories for end in ("", "-*"))
    if any(pattern(text).fullmatch(repository) for text in others):
        return False
    return any(pattern(text).fullmatch(repository) for text in app.images)


def may_use_login(app: App, repository: str) -> bool:
    """True if the server's own registry login may fetch from this repository for the app."""
    if allows_image(app, repository):
        return True
    named = "/".join(split_host(repository))
    return any(pattern(text).fullmatch(named) for text in app.other_images)


def login_for(
    app: App, repository: str, given: Credentials | None, own: Credentials | None
) -> Credentials | None:
    """Returns the login for a repository: the request's, else the server's own if the app's settings name the
    repository; each for its own registry.
    """
    host, _ = split_host(repository)
    if given and given.host == host:
        return given
    return own if own and own.host == host and may_use_login(app, repository) else None


def withheld(app: App, repository: str, error: ImageNotFound) -> ImageNotFound:
    """Returns the error of a fetch without the server's login, with a hint at the setting that grants the
    login.
    """
    if not may_use_login(app, repository):
        error.hint = (
            f"{error.hint}; a registry login of the server is used for repositories that"
            f" apps.{app.name}.images or other-images names: grant it with other-images"
        )
    return error


def check_images(app: App, images: Mapping[str, Image]) -> None:
    """Raises Forbidden for the first image, of those the app builds itself, outside the app's
    repositories.
    """
    for service, image in images.items():
        if not allows_image(app, image.repository):
            raise Forbidden(
                f"service {service}: {image.repository} is not an image repository of {app.name}",
                hint=f"apps.{app.name}.images allows {', '.join(app.images)}",
            )


def previous_serves(serving: Deployment | None, newest: Iterable[Deployment]) -> bool:
    """True if a rollback now means the serving release: a deploy of another one is still in progress."""
    return serving is not None and any(
        other.status is Status.IN_PROGRESS and other.release != serving.release for other in newest
    )


def _app_of_claims(claims: Mapping[str, object], request: DeployRequest | ProvenQuery, config: Config) -> App:
    apps = [app for app in config.apps.values() if claims.get("repository_id") == str(app.repository_id)]
    if not apps:
        raise Forbidden(
            f"repository_id: no app on this server has {_shown(claims, 'repository_id')}",
            hint="the app's repository-id in the server's settings must be the repository's id on GitHub",
        )
    return _named(apps, request.app)


def _named(apps: Sequence[App], name: str) -> App:
    """Returns the requested app, out of those that share its repository."""
    named = [app for app in apps if name in ("", app.name)]
    if not named:
        raise Forbidden(f"app: {name!r} is no app of this repository")
    if len(named) > 1:
        raise Forbidden(
            "app: several apps share this repository", hint="name one of them in the action's `app` input"
        )
    return named[0]


def _workflow_of(claims: Mapping[str, object]) -> str:
    """Returns the workflow's path: `O/R/.github/workflows/f.yml@REF` → `.github/workflows/f.yml`; both the
    file name and the ref may hold an `@`.

    The ref is known from its own claim, so it is removed from the end; if GitHub put a commit there, from the
    last `@`.
    """
    whole, ref = str(claims.get("workflow_ref", "")), str(claims.get("ref", ""))
    named = whole.removesuffix(f"@{ref}") if ref and whole.endswith(f"@{ref}") else whole.rpartition("@")[0]
    return "/".join(named.split("/")[2:])


def is_environment(claim: object, name: str) -> bool:
    """True if the claim is the environment's name; GitHub ignores its case. ASCII only: `.lower()` also makes
    a `k` of the Kelvin sign.
    """
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
    """Compiles a repository pattern of the settings: `*` stands for anything but a slash."""
    return re.compile(r"[^/\s]*".join(re.escape(part) for part in text.split("*")))


def _job(
    request: DeployRequest, app: App, trigger: Trigger, *, actor: str, run: Run | None, workflow: str
) -> DeployJob:
    return DeployJob(
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
        defaults=request.defaults,
        confirm=request.confirm,
    )
