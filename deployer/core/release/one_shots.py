"""One-shot tasks of a release that returns. In: the kind of a deployment, its release, the deployments before
it. Out: True if its one-shot tasks run.

A one-shot is a service that others wait for with `service_completed_successfully`, usually a migration. On
data that a newer release has changed, the older one's may fail or destroy.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployer.core.model import Deployment, Kind, Status

LOOK_BACK = 200  # deployments; the record keeps no more for an environment
_UNTOUCHED = (Status.QUEUED, Status.INACTIVE)


def run_one_shots(kind: Kind, release: str, past: Iterable[Deployment], *, asked: bool = False) -> bool:
    """True if the tasks run. `past`: the environment's other deployments, newest first. The tasks of a deploy
    run; those of a rollback run if `asked`. Those of a redeploy run if no other release was tried since this
    one was deployed, and no rollback brought it back meanwhile.
    """
    if kind is Kind.DEPLOY or asked:
        return True
    if kind is Kind.ROLLBACK:
        return False
    for one in past:
        if one.status in _UNTOUCHED or not one.release:
            continue
        if one.release != release or one.kind is Kind.ROLLBACK:
            return False
        if one.kind is Kind.DEPLOY:
            return True
    return False
