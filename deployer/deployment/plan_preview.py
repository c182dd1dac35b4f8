"""Preview of a request's changes, for a pull request. In: a deploy job. Out: a `Preview`. Never changes or
pulls anything, never asks a registry.

The Compose file comes from a branch that is not reviewed yet, so no value of a variable may appear in the
output.
"""

from __future__ import annotations

import re

from deployer.core.auth.job_authorization import judge_images
from deployer.core.config.settings import Environment
from deployer.core.errors import ComposeRejected, DeployerError
from deployer.core.model import Bundle, DeployJob, Release
from deployer.core.redaction import hide_values, redact, redact_secrets
from deployer.core.rollout.changes import Preview, image_without_lookup
from deployer.core.variables.interpolation import missing_variables
from deployer.deployment.context import DeployContext
from deployer.deployment.release.release_assembly import image_requirements, variables_of

# A limit may be built from a variable's value (`${PIN}m`) and would reveal it.
_FIGURE = re.compile(r"\b(within|at most) [0-9.]+ s\b")


def preview(job: DeployJob, context: DeployContext) -> Preview:
    """Returns the preview. Raises the errors that a deploy of the job would raise before its first change,
    without variable values in their texts.
    """
    environment = context.config.app(job.app).environment(job.environment)
    bundle = job.bundle or Bundle("", {})
    variables = variables_of(job, environment, context, bundle)

    def hide(text: str) -> str:
        return redact_secrets(redact(text, variables), variables)

    def hide_all(text: str) -> str:
        return hide_values(redact_secrets(text, variables), frozenset(variables.values()))

    missing = missing_variables(bundle.files, variables)
    try:
        with context.renderer.planning(bundle):
            release = _release(job, environment, bundle, variables, context)
            dry = context.target.dry_run(environment, release, offline=True)
    except DeployerError as error:
        error.args, error.hint = (hide_all(str(error)),), hide_all(error.hint)
        if missing and isinstance(error, ComposeRejected):
            return Preview(str(error), {}, missing)
        raise error from None
    return Preview(hide(_FIGURE.sub(r"\1 its limit", str(dry.plan))), dry.changes, missing)


def _release(
    job: DeployJob,
    environment: Environment,
    bundle: Bundle,
    variables: dict[str, str],
    context: DeployContext,
) -> Release:
    app = context.config.app(job.app)
    rendered = context.renderer.render(environment.project, bundle, variables)
    before = context.store.deployments.serving(app.name, environment.name)
    serving = context.store.releases.get(before.release) if before else None
    wanted = image_requirements(rendered, job, app, bundle, context.config)
    images = {want.service: image_without_lookup(want, serving) for want in wanted}
    judge_images(app, wanted, images)
    return Release("", app.name, job.revision, images, bundle, variables)
