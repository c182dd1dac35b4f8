"""`checkout`: the event's commit in the workspace. In: workspace, token. Out: a work tree, or proof that the
workspace already has the commit.

A workspace with content is used unchanged, made files included. An empty one is filled with one commit
without history; so is one that an earlier run filled, as a self-hosted runner keeps it. The token is only in
git's environment, neither on the disk nor in an argument list, and goes to GitHub alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from deployer.ci import run_state
from deployer.ci.git.git import git
from deployer.ci.git.workspace_marker import begin, is_kept, mark_filled
from deployer.ci.github import workflow_commands
from deployer.ci.github.inputs import Context, compose_file, input_text, read_context
from deployer.core.build.run_mode import Mode
from deployer.core.errors import CommandFailed, DeployerError
from deployer.io.http_connections import is_loopback
from deployer.io.oci_client import basic

_TIMEOUT = 1200.0
_USER = "x-access-token"


class CheckoutFailed(DeployerError):
    """The workspace does not hold the event's commit."""

    code = "checkout-failed"


def run() -> None:
    """Fills or checks the workspace. Raises CheckoutFailed; ConfigError if the commit has no Compose file."""
    context = read_context()
    if not any(context.workspace.iterdir()) or is_kept(context):
        _fill(context)
    else:
        _compare(context)
    compose_file(context.workspace)


def _compare(context: Context) -> None:
    """Checks the workspace's commit: images may leave the runner only under their own commit's name."""
    found = _head(context)
    if found in ("", context.revision):
        workflow_commands.say(f"the workspace is used as it is, at {found or 'an unknown commit'}")
        return
    difference = f"the workspace holds commit {found}, and this run is for {context.revision}"
    if run_state.load("decision", {}).get("mode") != Mode.TEST:
        raise CheckoutFailed(
            difference,
            hint="check out without `ref:`, or leave the checkout to this action (an empty workspace)",
        )
    workflow_commands.notice(f"{difference}; it is tested as it is", title="deployer checkout")


def _head(context: Context) -> str:
    if not (context.workspace / ".git").exists():
        return ""  # a work tree may have no git
    try:
        return _git(context, "rev-parse", "--verify", "HEAD").strip()
    except CommandFailed as error:
        raise CheckoutFailed(
            f"git cannot say which commit the workspace holds: {error}",
            hint="is git installed on the runner, and is the workspace a whole checkout?",
        ) from None


def _fill(context: Context) -> None:
    url = f"{context.site}/{context.repository}"
    _empty(context.workspace)
    try:
        begin(context)
        _git(context, "init", "--quiet")
        _git(context, "config", "--local", "remote.origin.url", url)
        words = ("--quiet", "--no-tags", "--no-recurse-submodules", "--depth=1")
        _git(context, "fetch", *words, "origin", context.revision, extra=_authorization(context.site))
        _git(context, "checkout", "--quiet", "--force", "--detach", context.revision)
    except CommandFailed as error:
        raise CheckoutFailed(
            f"{url} at {context.revision} cannot be checked out: {error}",
            hint="the job needs `contents: read`, and a private repository the job's token",
        ) from None
    mark_filled(context)
    workflow_commands.say(f"checked out {context.revision} of {url}")
    _warn(context)


def _empty(workspace: Path) -> None:
    """Removes everything of an earlier run: its test may have left a git configuration that sends the token
    elsewhere, or changes files on their way out of git.
    """
    try:
        for path in workspace.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise CheckoutFailed(
            f"{error.filename} of an earlier run cannot be removed: {error.strerror}",
            hint="a container may have written it as root: remove it on the runner or write elsewhere",
        ) from None


def _warn(context: Context) -> None:
    """Warns of content that only actions/checkout can fetch."""
    attributes = context.workspace / ".gitattributes"
    left_out = {
        "submodules": (context.workspace / ".gitmodules").is_file(),
        "files in Git LFS": attributes.is_file() and b"filter=lfs" in attributes.read_bytes(),
    }
    missing = " and ".join(name for name, used in left_out.items() if used)
    if missing:
        workflow_commands.warning(
            f"{missing} are not fetched here; put actions/checkout before this step",
            title="deployer checkout",
        )


def _authorization(site: str) -> Mapping[str, str]:
    token = input_text("github-token")
    parts = urlsplit(site)
    if not token or not (parts.scheme == "https" or is_loopback(parts.netloc)):
        return {}
    workflow_commands.mask(token)
    header = basic(_USER, token)
    workflow_commands.mask(header.partition(" ")[2])
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{site}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: {header}",
    }


def _git(context: Context, *words: str, extra: Mapping[str, str] | None = None) -> str:
    return git(context.workspace, *words, extra=extra, timeout=_TIMEOUT)
