"""Error of a deployment → its final status. In: the error. Out: GitHub's status and the reason."""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.errors import (
    BudgetExceeded,
    CertificateInvalid,
    ComposeRejected,
    ConfirmationFailed,
    ContainerRefused,
    DeployerError,
    ExternalMissing,
    GateFailed,
    HookFailed,
    ImageNotFound,
    ImageOfAnother,
    ImageUnproven,
    NameTaken,
    OtherProject,
    PayloadRejected,
    PortTaken,
    RegistryRefused,
    ReleaseIncomplete,
)
from deployer.core.model import Status

_REFUSED = (
    CertificateInvalid,
    GateFailed,
    HookFailed,
    BudgetExceeded,
    ConfirmationFailed,
    ContainerRefused,
    ImageNotFound,
    ImageOfAnother,
    ImageUnproven,
    ReleaseIncomplete,
    ComposeRejected,
    ExternalMissing,
    NameTaken,
    OtherProject,
    PayloadRejected,
    PortTaken,
    RegistryRefused,
)


@dataclass(frozen=True)
class Failure:
    """Final status and reason: `failure` if the release was refused, `error` if something around it broke."""

    status: Status
    reason: str


def failure_of(error: DeployerError) -> Failure:
    """Returns the failure, its reason with the error's code; the reason may still hold secrets."""
    status = Status.FAILURE if isinstance(error, _REFUSED) else Status.ERROR
    return Failure(status, f"{error} [{error.code}]")
