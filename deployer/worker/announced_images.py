"""Image announcements: does the announced image complete a release? In: the deploy jobs of an announcement.
Out: one complete deploy job, or the reason why there is none.

Images arrive one by one, from any branch, in any order, and repeatedly. So only the newest commit of the
environment's branch is a release here, and only after the registry has every image of it. The images found
are deployed by digest, so that nothing is looked up twice.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from deployer.core.errors import (
    ComposeRejected,
    ForgeUnavailable,
    ImageNotFound,
    ImageOfAnother,
    ImageUnproven,
    RegistryRefused,
    ReleaseIncomplete,
)
from deployer.core.model import Wish
from deployer.core.redaction import redact, redact_secrets
from deployer.core.refs import matches
from deployer.deployment.context import World
from deployer.deployment.release_assembly import complete, variables_of

_AT_ONCE = threading.BoundedSemaphore(4)  # a lookup asks GitHub and a registry and holds a receiver thread
_PATIENCE = 5.0


def resolve_hint(wishes: Sequence[Wish], world: World) -> Wish | str:
    """Returns the deploy job that an announced image completes, or the reason why there is none. Raises
    ForgeUnavailable or RegistryUnavailable, so that GitHub shows the delivery as failed.
    """
    if not _AT_ONCE.acquire(timeout=_PATIENCE):
        raise ForgeUnavailable("too many images are being looked up", hint="redeliver it later")
    try:
        return _resolve(wishes, world)
    finally:
        _AT_ONCE.release()


def _resolve(wishes: Sequence[Wish], world: World) -> Wish | str:
    newest = [found for wish in wishes if (found := _newest(wish, world))]
    if not newest:
        return f"{wishes[0].revision[:7]} is not the newest commit of a branch that is deployed"
    if len(newest) > 1:
        names = ", ".join(f"{wish.app}/{wish.environment}" for wish in newest)
        return f"the image fits {names}: set `images` so that it fits one app, or `packages` for one"
    wish = newest[0]
    app = world.config.app(wish.app)
    environment = app.environment(wish.environment)
    try:
        release = complete(wish, app, environment, world)
    except (ImageUnproven, ImageOfAnother, RegistryRefused) as error:
        return f"{error}: {error.hint}"
    except (ImageNotFound, ReleaseIncomplete, ComposeRejected) as error:
        variables = variables_of(wish, environment, world)  # Compose's messages may quote them
        return f"the release is incomplete: {redact_secrets(redact(str(error), variables), variables)}"
    return replace(wish, images=release.images, bundle=release.bundle)


def _newest(wish: Wish, world: World) -> Wish | None:
    """Returns the deploy job, with its branch, if its commit is the newest one of a branch that the
    environment accepts.
    """
    app = world.config.app(wish.app)
    setting = app.environment(wish.environment).branch
    if "*" not in setting:
        return wish if world.forge.tip(app.repository, setting) == wish.revision else None
    names = world.forge.branches_at(app.repository, wish.revision)
    return next((replace(wish, branch=name) for name in names if matches(setting, name)), None)
