"""GitHub as the deployer uses it. In: repositories, revisions, deployments. Out: Compose files, answers about
branches, reported statuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from github import Github, UnknownObjectException
from github.ContentFile import ContentFile
from github.GitTreeElement import GitTreeElement
from github.Repository import Repository

from deployer.adapters.github.api_access import FAULTS, ApiAccess, explain
from deployer.adapters.github.status_reports import Ledger, StatusReporter
from deployer.core.compose.bundle import collect_bundle
from deployer.core.errors import GitHubUnavailable, ReleaseIncomplete
from deployer.core.model import Bundle, Deployment
from deployer.core.requests.deploy_request import MAX_FILE_BYTES


class GitHubClient:
    """Implements `ports.github.GitHub`. `environment_url` returns the address that users open, empty if there
    is none.
    """

    def __init__(
        self,
        *,
        api: str,
        token: str,
        ledger: Ledger,
        environment_url: Callable[[Deployment], str] = lambda _: "",
        timeout: int = 10,
    ) -> None:
        self._access = ApiAccess(api, token, timeout)
        self._reporter = StatusReporter(self._access, ledger, environment_url)

    def read_bundle(self, repository: str, revision: str, entry: str) -> Bundle:
        client = self._access.client()
        try:
            return _Source(client, repository, revision, entry).bundle()
        except FAULTS as error:
            raise self._unavailable(repository, error) from None
        finally:
            client.close()

    def tip(self, repository: str, branch: str) -> str:
        with self._asking(repository) as found:
            return found.get_git_ref(f"heads/{branch}").object.sha
        return ""

    def branches_at(self, repository: str, revision: str) -> Sequence[str]:
        with self._asking(repository) as found:
            return [branch.name for branch in found.get_commit(revision).get_branches_where_head()]
        return []

    def contains(self, repository: str, tip: str, revision: str) -> bool:
        with self._asking(repository) as found:
            return found.compare(tip, revision).status in ("identical", "behind")
        return False

    def has_tag(self, repository: str, name: str) -> bool:
        with self._asking(repository) as found:
            return bool(found.get_git_ref(f"tags/{name}").object.sha)  # `ref` alone sends no request
        return False

    def report(self, repository: str, deployment: Deployment, url: str, text: str) -> None:
        self._reporter.report(repository, deployment, url, text)

    def close(self, timeout: float) -> bool:
        """Sends the queued reports, for at most `timeout` seconds; False if some were not sent."""
        return self._reporter.close(timeout)

    @contextmanager
    def _asking(self, repository: str) -> Iterator[Repository]:
        """Opens the repository for a query. Ends the block quietly if GitHub does not know the object; every
        other failure raises GitHubUnavailable.
        """
        client = self._access.client()
        try:
            yield client.get_repo(repository)
        except UnknownObjectException:
            return
        except FAULTS as error:
            raise self._unavailable(repository, error) from None
        finally:
            client.close()

    def _unavailable(self, repository: str, error: Exception) -> GitHubUnavailable:
        why, hint = explain(error)
        return GitHubUnavailable(f"{repository}: {self._access.redact(why)}", hint=hint)


class _Source:
    """Reads one repository at one revision."""

    def __init__(self, client: Github, name: str, revision: str, entry: str) -> None:
        self._name = name
        self._repository = client.get_repo(name)
        self._revision = revision
        self._entry = entry

    def bundle(self) -> Bundle:
        tree = self._repository.get_git_tree(self._revision, recursive=True)
        if tree.raw_data.get("truncated"):
            raise ReleaseIncomplete(
                f"{self._name} has too many files for GitHub to list",
                hint="deploy with the action, which brings the Compose file",
            )
        self._files = {item.path: item for item in tree.tree if _is_regular(item)}
        return collect_bundle(self._entry, self._files, self._read)

    def _read(self, path: str) -> str | None:
        """Returns a file's text; None if it is binary or too large. GitHub's contents API returns up to 1
        MiB.
        """
        if (self._files[path].size or 0) > MAX_FILE_BYTES:
            return None
        found = self._repository.get_contents(path, ref=self._revision)
        if not isinstance(found, ContentFile):
            return None
        raw = found.decoded_content
        try:
            return None if b"\0" in raw else raw.decode("utf-8")
        except UnicodeDecodeError:
            return None


def _is_regular(item: GitTreeElement) -> bool:
    return item.type == "blob" and item.mode in ("100644", "100755")
