"""All failures that a user can meet, as one family. In: the event and its object. Out: text, stable code,
next step.

Any exception that is not a `DeployerError` is a bug. Never formats for HTTP, a terminal or a log.
"""

from __future__ import annotations


class DeployerError(Exception):
    """An expected failure: `str()` describes it, `code` never changes, `hint` names the next step."""

    code = "deployer-error"

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


class PayloadRejected(DeployerError):
    """The body is not in its declared format."""

    code = "payload-rejected"


class TokenRejected(DeployerError):
    """The bearer token is missing, unknown, expired, already used, or bound to another request."""

    code = "token-rejected"


class Forbidden(DeployerError):
    """The caller is known and lacks the right to this."""

    code = "forbidden"


class NotFound(DeployerError):
    """No such app, environment, deployment or release."""

    code = "not-found"


class ReleaseIncomplete(DeployerError):
    """A release lacks an image or a file that it names; nothing was touched."""

    code = "release-incomplete"


class ImageUnproven(DeployerError):
    """No protected run proved an image's origin, and the settings do not accept a tag instead."""

    code = "image-unproven"


class ImageOfAnother(DeployerError):
    """An image was built for another repository, Compose file or service than it would run as."""

    code = "image-of-another"


class ComposeRejected(DeployerError):
    """`docker compose` refused the model, or a deploy cannot honour it."""

    code = "compose-rejected"


class ImageNotFound(DeployerError):
    """The registry does not have the image, or does not show it to this account."""

    code = "image-not-found"


class RegistryUnavailable(DeployerError):
    """The registry did not answer in a usable way."""

    code = "registry-unavailable"


class RegistryRefused(DeployerError):
    """A registry's name leads to this machine or its network, and the settings do not name it."""

    code = "registry-refused"


class EngineUnavailable(DeployerError):
    """The Docker engine did not answer."""

    code = "engine-unavailable"


class EdgeUnavailable(DeployerError):
    """The edge proxy did not answer or refused a command."""

    code = "edge-unavailable"


class CertificateInvalid(DeployerError):
    """A certificate of the edge is missing or cannot be served; the previous ones stay in use."""

    code = "certificate-invalid"


class GateFailed(DeployerError):
    """A new replica did not become ready; the release does not serve."""

    code = "gate-failed"


class HookFailed(DeployerError):
    """A command that the release runs around its rollout failed."""

    code = "hook-failed"

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="its output is in the deployment's events")


class ConfirmationFailed(DeployerError):
    """The release served and was not confirmed from outside; the previous one serves again."""

    code = "confirmation-failed"


class BudgetExceeded(DeployerError):
    """Users lost more during the deploy than the service's settings allow; the previous release serves."""

    code = "budget-exceeded"


class DiskFull(DeployerError):
    """The images would not fit on the engine's disk; nothing was pulled."""

    code = "disk-full"


class NotWaiting(DeployerError):
    """A confirmation arrived for a deployment that does not wait for one, or no longer does."""

    code = "not-waiting"


class CommandFailed(DeployerError):
    """A child process ended with an error or ran out of time."""

    code = "command-failed"


class GitHubUnavailable(DeployerError):
    """GitHub's API did not answer or refused."""

    code = "github-unavailable"


class StoreUnavailable(DeployerError):
    """The database cannot take a write (full disk, read-only, locked); nothing was accepted."""

    code = "store-unavailable"


class WorkerSilent(DeployerError):
    """The process with the engine did not answer a delegated task in time."""

    code = "worker-silent"


class Interrupted(DeployerError):
    """The deployer was killed too often during this deployment."""

    code = "interrupted"


class TooManyRequests(DeployerError):
    """One address, or all together, sent too many requests; `after` is the pause in seconds that it should
    make.
    """

    code = "too-many-requests"

    def __init__(self, after: float, what: str = "too many requests came from this address") -> None:
        super().__init__(what, hint="Retry-After says when to try again")
        self.after = after


class Busy(DeployerError):
    """Another process is working on the same object."""

    code = "busy"


class OtherProject(DeployerError):
    """The Compose file's own project has data on the engine, and the environment's project is another one."""

    code = "other-project"


class PlansDisagree(DeployerError):
    """Consecutive plans undo each other; the release is not in its desired state."""

    code = "plans-disagree"


class ContainerRefused(DeployerError):
    """The engine will not create or start a container as the release defines it."""

    code = "container-refused"


class PortTaken(DeployerError):
    """Another container or process holds a host port that the release publishes; nothing was touched."""

    code = "port-taken"


class SubnetTaken(DeployerError):
    """A network of the release would take addresses that the host reaches otherwise; nothing was touched."""

    code = "subnet-taken"


class ExternalMissing(DeployerError):
    """A network or volume that the Compose file calls external does not exist; nothing was touched."""

    code = "external-missing"


class AuditBroken(DeployerError):
    """The audit log was changed."""

    code = "audit-broken"


class NameTaken(DeployerError):
    """The name is already in use."""

    code = "name-taken"
