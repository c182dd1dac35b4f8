"""Check that a webhook's commit belongs to its branch. In: a deploy job, GitHub. Out: nothing, or Forbidden.

A delivery says `head_branch: main` both for a run of the branch and for a run of a tag with that name, and an
account without push access to the branch may be able to push a tag. GitHub is therefore asked, when the
deployment begins, which commits the branch contains. The action's own request needs no such check: its token
names the whole ref.
"""

from __future__ import annotations

from deployer.core.config.settings import App, Environment
from deployer.core.errors import Forbidden
from deployer.core.model import DeployJob
from deployer.core.ports.github import GitHub


def check_branch(job: DeployJob, app: App, environment: Environment, github: GitHub) -> None:
    """Raises Forbidden if the commit is not on the branch or a tag shares the branch's name,
    GitHubUnavailable if GitHub cannot tell.
    """
    branch = job.branch or environment.branch
    tip = github.tip(app.repository, branch)
    if tip == job.revision:
        return
    if not tip or not github.contains(app.repository, tip, job.revision):
        raise Forbidden(
            f"{job.revision[:7]} is no commit of the branch {branch!r}",
            hint="runs for a tag of that name and runs from before a reset of the branch are not deployed",
        )
    if github.has_tag(app.repository, branch):
        raise Forbidden(
            f"a tag has the same name as the branch {branch!r}, and a webhook does not say which was built",
            hint="delete the tag, or deploy with the action, whose request names the ref",
        )
