"""All failures that a user can meet, as one family. In: the event and its object. Out: text, stable code,
next step, and the consequence of the failure for a request and for a deployment.

Any exception that is not a `DeployerError` is a bug. Never formats for HTTP, a terminal or a log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal


class DeployerError(Exception):
    """An expected failure: `str()` describes it, `code` never changes, `hint` names the next step."""

    code = "deployer-error"
    # Answer to a request that ends by it; a code with another status than 500 has a row in
    # docs/reference/api.md.
    http_status = 500
    # Status of a deployment that ends by it: `failure` if the release was refused, `error` if something
    # around it broke.
    outcome: Literal["failure", "error"] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def diagnostics(self) -> str:
        """Returns one paragraph for a person: message, code and, if there is one, the next step."""
        text = f"{self} [{self.code}]"
        return f"{text}\nhint: {self.hint}" if self.hint else text


class ConfigError(DeployerError):
    """A setting is missing or wrong: `path` names it, the message states the expected value."""

    code = "config-invalid"

    def __init__(self, path: str, expectation: str, *, hint: str = "") -> None:
        super().__init__(f"{path}: {expectation}", hint=hint)
        self.path = path


class SignatureMismatch(DeployerError):
    """The delivery is not signed with a configured webhook secret."""

    code = "signature-mismatch"
    http_status = 401


class PayloadRejected(DeployerError):
    """The body is not in its declared format."""

    code = "payload-rejected"
    http_status = 400
    outcome = "failure"


class TokenRejected(DeployerError):
    """The bearer token is missing, unknown, expired, already used, or bound to another request."""

    code = "token-rejected"
    http_status = 401


class Forbidden(DeployerError):
    """The caller is known and lacks the right to this."""

    code = "forbidden"
    http_status = 403


class NotFound(DeployerError):
    """No such app, environment, deployment or release."""

    code = "not-found"
    http_status = 404


class ReleaseIncomplete(DeployerError):
    """A release lacks an image or a file that it names; nothing was touched."""

    code = "release-incomplete"
    http_status = 422
    outcome = "failure"


class ImageUnproven(DeployerError):
    """No protected run proved an image's origin, and the settings do not accept a tag instead."""

    code = "image-unproven"
    http_status = 422
    outcome = "failure"


class ImageOfAnother(DeployerError):
    """An image was built for another repository, Compose file or service than it would run as."""

    code = "image-of-another"
    http_status = 422
    outcome = "failure"


class ComposeRejected(DeployerError):
    """`docker compose` refused the model, or a deploy cannot honour it."""

    code = "compose-rejected"
    http_status = 422
    outcome = "failure"


class ImageNotFound(DeployerError):
    """The registry does not have the image, or does not show it to this account."""

    code = "image-not-found"
    outcome = "failure"


class RegistryUnavailable(DeployerError):
    """The registry did not answer in a usable way."""

    code = "registry-unavailable"
    http_status = 503


class RegistryRefused(DeployerError):
    """A registry's name leads to this machine or its network, and the settings do not name it."""

    code = "registry-refused"
    http_status = 422
    outcome = "failure"


class EngineUnavailable(DeployerError):
    """The Docker engine did not answer."""

    code = "engine-unavailable"
    http_status = 503


class EdgeUnavailable(DeployerError):
    """The edge proxy did not answer or refused a command."""

    code = "edge-unavailable"


class CertificateInvalid(DeployerError):
    """A certificate of the edge is missing or cannot be served; the previous ones stay in use."""

    code = "certificate-invalid"
    outcome = "failure"


class GateFailed(DeployerError):
    """A new replica did not become ready; the release does not serve."""

    code = "gate-failed"
    outcome = "failure"


class HookFailed(DeployerError):
    """A command that the release runs around its rollout failed."""

    code = "hook-failed"
    outcome = "failure"

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="its output is in the deployment's events")


class ConfirmationFailed(DeployerError):
    """The release served and was not confirmed from outside; the previous one serves again."""

    code = "confirmation-failed"
    outcome = "failure"


class BudgetExceeded(DeployerError):
    """Users lost more during the deploy than the service's settings allow; the previous release serves."""

    code = "budget-exceeded"
    outcome = "failure"


class DiskFull(DeployerError):
    """The images would not fit on the engine's disk; nothing was pulled."""

    code = "disk-full"


class NotWaiting(DeployerError):
    """A confirmation arrived for a deployment that does not wait for one, or no longer does."""

    code = "not-waiting"
    http_status = 409


class CommandFailed(DeployerError):
    """A child process ended with an error or ran out of time."""

    code = "command-failed"


class GitHubUnavailable(DeployerError):
    """GitHub's API did not answer or refused."""

    code = "github-unavailable"
    http_status = 503


class StoreUnavailable(DeployerError):
    """The database cannot take a write (full disk, read-only, locked); nothing was accepted."""

    code = "store-unavailable"
    http_status = 503


class WorkerSilent(DeployerError):
    """The process with the engine did not answer a delegated task in time."""

    code = "worker-silent"
    http_status = 503


class Interrupted(DeployerError):
    """The deployer was killed too often during this deployment."""

    code = "interrupted"


class TooManyRequests(DeployerError):
    """Too many requests came from one address, or from all together; `after` is the pause in seconds that it
    should make.
    """

    code = "too-many-requests"
    http_status = 429

    def __init__(self, after: float, what: str = "too many requests came from this address") -> None:
        super().__init__(what, hint="Retry-After says when to try again")
        self.after = after


class Busy(DeployerError):
    """Another process is working on the same object."""

    code = "busy"


class OtherProject(DeployerError):
    """The Compose file's own project has data on the engine, and the environment's project is another one."""

    code = "other-project"
    outcome = "failure"


class PlansDisagree(DeployerError):
    """Consecutive plans undo each other; the release is not in its desired state."""

    code = "plans-disagree"


class ContainerRefused(DeployerError):
    """The engine will not create or start a container as the release defines it."""

    code = "container-refused"
    outcome = "failure"


class PortTaken(DeployerError):
    """Another container or process holds a host port that the release publishes; nothing was touched."""

    code = "port-taken"
    outcome = "failure"


class SubnetTaken(DeployerError):
    """A network of the release would take addresses that the host reaches otherwise; nothing was touched."""

    code = "subnet-taken"


class ExternalMissing(DeployerError):
    """A network or volume that the Compose file calls external does not exist; nothing was touched."""

    code = "external-missing"
    outcome = "failure"


class AuditBroken(DeployerError):
    """The audit log was changed."""

    code = "audit-broken"


class NameTaken(DeployerError):
    """The name is already in use."""

    code = "name-taken"
    outcome = "failure"


def error_classes() -> Iterator[type[DeployerError]]:
    """Yields every class of the family, as far as its module is loaded."""
    waiting = [DeployerError]
    while waiting:
        yield (one := waiting.pop())
        waiting += one.__subclasses__()


def error_of(code: str, message: str, hint: str) -> DeployerError:
    """Returns an error that another process reported, with the HTTP status of its code's class; 500 for a
    code that this process does not know.
    """
    error = DeployerError(message, hint=hint)
    error.code = code
    error.http_status = next((one.http_status for one in error_classes() if one.code == code), 500)
    return error
