"""What the door could not do itself, done by the process with the engine. In: errands from the store. Out:
deployments that are queued, plans that are answered.

One thread does one after another; who is killed in the middle of one finds it there at the next start. A hint
that cannot be looked up is tried again for minutes, a plan that nobody waits for is not made.
"""

from __future__ import annotations

import logging
from dataclasses import asdict

from deployer.core.errand import PATIENCE, TRIES, Errand, Task, fit_wishes
from deployer.core.errors import DeployerError, Forbidden, ForgeUnavailable, RegistryUnavailable
from deployer.core.telling import about
from deployer.hint import resolve_hint
from deployer.preview import preview
from deployer.world import World

_log = logging.getLogger("deployer.errands")


def run_errand(world: World) -> bool:
    """The next one; False when there is none."""
    errand = world.store.next_errand(world.clock.now())
    if errand is None:
        return False
    if errand.task is Task.PLAN:
        _plan(errand, world)
    else:
        _hint(errand, world)
    return True


def _plan(errand: Errand, world: World) -> None:
    if not 0 <= world.clock.now() - errand.at < PATIENCE:
        world.store.drop_errand(errand.id)
        return
    try:
        wishes = fit_wishes(errand, world.config)
        if len(wishes) != 1:
            raise Forbidden("the worker's settings answer no such plan")
        answer = asdict(preview(wishes[0], world))
    except DeployerError as error:
        answer = {"error": error.code, "message": str(error), "hint": error.hint}
    world.store.answer_errand(errand.id, answer)


def _hint(errand: Errand, world: World) -> None:
    wishes = fit_wishes(errand, world.config)
    told = about("hint", id=errand.id)
    try:
        found = resolve_hint(wishes, world) if wishes else "no environment here takes it"
    except (ForgeUnavailable, RegistryUnavailable) as error:
        if errand.tries + 1 < TRIES:
            world.store.put_off(errand.id, world.clock.now())
            return
        found = f"given up after {TRIES} tries: {error}"
    except DeployerError as error:
        found = str(error)
    if isinstance(found, str):
        _log.info("an announced image starts nothing: %s", found, extra=told)
    else:
        deployment, outcome = world.store.enqueue(found, world.clock.now())
        _log.info("an announced image: %s", outcome, extra=about("hint", deployment, outcome=outcome))
    world.store.drop_errand(errand.id)
