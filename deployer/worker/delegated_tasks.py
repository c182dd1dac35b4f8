"""Delegated tasks: work that the web process leaves to the process with the engine. In: tasks from the store.
Out: queued deployments, answered plans.

One thread runs one task after another; a task that a killed process left unfinished is still in the store at
the next start. An announced image that cannot be looked up is tried again for minutes. A plan request that
has timed out is dropped.
"""

from __future__ import annotations

import logging
from dataclasses import asdict

from deployer.core.errors import DeployerError, Forbidden, GitHubUnavailable, RegistryUnavailable
from deployer.core.queue.delegated_task import PATIENCE, TRIES, DelegatedTask, TaskKind, fit_jobs
from deployer.core.reporting.log_fields import log_fields
from deployer.deployment.context import DeployContext
from deployer.deployment.plan_preview import preview
from deployer.worker.announced_images import resolve_announcement

_log = logging.getLogger("deployer.errands")


def run_task(context: DeployContext) -> bool:
    """Runs the next delegated task. Returns False if there is none."""
    delegated = context.store.tasks.next(context.clock.now())
    if delegated is None:
        return False
    act = _plan if delegated.task is TaskKind.PLAN else _hint
    try:
        act(delegated, context)
    except Exception as error:  # no task may block the tasks behind it for ever
        if isinstance(error, DeployerError):
            _log.error(
                "%s", error.diagnostics(), extra=log_fields("worker-failed", code=error.code, id=delegated.id)
            )
        else:
            _log.exception("a delegated task failed", extra=log_fields("bug", id=delegated.id))
        _give_way(delegated, error, context)
    return True


def _give_way(delegated: DelegatedTask, error: Exception, context: DeployContext) -> None:
    """Answers a failed plan at once, because its client waits; puts an image announcement off, up to the
    limit of tries.
    """
    if delegated.task is TaskKind.PLAN:
        told = f"the worker broke ({type(error).__name__}); its log has the details under {delegated.id}"
        context.store.tasks.answer(delegated.id, {"error": "internal", "message": told, "hint": ""})
    elif not _put_off(delegated, context):
        told = f"given up after {TRIES} tries: {type(error).__name__}"
        _log.error("an announced image starts nothing: %s", told, extra=log_fields("hint", id=delegated.id))
        context.store.tasks.drop(delegated.id)


def _put_off(delegated: DelegatedTask, context: DeployContext) -> bool:
    """Returns False if the task has used all its tries."""
    if delegated.tries + 1 >= TRIES:
        return False
    context.store.tasks.put_off(delegated.id, context.clock.now())
    return True


def _plan(delegated: DelegatedTask, context: DeployContext) -> None:
    if not 0 <= context.clock.now() - delegated.at < PATIENCE:
        context.store.tasks.drop(delegated.id)
        return
    try:
        jobs = fit_jobs(delegated, context.config)
        if len(jobs) != 1:
            raise Forbidden("the worker's settings answer no such plan")
        answer = asdict(preview(jobs[0], context))
    except DeployerError as error:
        answer = {"error": error.code, "message": str(error), "hint": error.hint}
    context.store.tasks.answer(delegated.id, answer)


def _hint(delegated: DelegatedTask, context: DeployContext) -> None:
    jobs = fit_jobs(delegated, context.config)
    told = log_fields("hint", id=delegated.id)
    try:
        found = resolve_announcement(jobs, context) if jobs else "no environment of this server accepts it"
    except (GitHubUnavailable, RegistryUnavailable) as error:
        if _put_off(delegated, context):
            return
        found = f"given up after {TRIES} tries: {error}"
    except DeployerError as error:
        found = str(error)
    if isinstance(found, str):
        _log.info("an announced image starts nothing: %s", found, extra=told)
    else:
        deployment, outcome = context.store.queue.enqueue(found, context.clock.now())
        _log.info("an announced image: %s", outcome, extra=log_fields("hint", deployment, outcome=outcome))
    context.store.tasks.drop(delegated.id)
