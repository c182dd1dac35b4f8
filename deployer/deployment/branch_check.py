"""Whether a webhook's commit is the branch's. In: a wish, GitHub. Out: nothing, or Forbidden.

A delivery says `head_branch: main` for a run of the branch and for one of a tag with that name, and whoever
may not push to the branch may push a tag. What lies on the branch is GitHub's to say, when the deployment
begins. The action's own request needs none of this: its token names the whole ref.
"""

from __future__ import annotations

from deployer.core.config.settings import App, Environment
from deployer.core.errors import Forbidden
from deployer.core.model import Wish
from deployer.core.ports.github import Forge


def check_branch(wish: Wish, app: App, environment: Environment, forge: Forge) -> None:
    """Raises Forbidden, or ForgeUnavailable."""
    branch = wish.branch or environment.branch
    tip = forge.tip(app.repository, branch)
    if tip == wish.revision:
        return
    if not tip or not forge.contains(app.repository, tip, wish.revision):
        raise Forbidden(
            f"{wish.revision[:7]} is no commit of the branch {branch!r}",
            hint="a run for a tag of that name deploys nothing, nor one whose branch was reset meanwhile",
        )
    if forge.has_tag(app.repository, branch):
        raise Forbidden(
            f"a tag is called {branch!r} like the branch, and a run does not say which of them it was for",
            hint="delete the tag, or deploy with the action, whose request names the ref",
        )
