"""How a deployment ends that did not succeed. In: its error. Out: GitHub's word and the reason."""

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
    """`failure` where the release was refused, `error` where something around it broke."""

    status: Status
    reason: str


def failure_of(error: DeployerError) -> Failure:
    """With its code; the reason may still hold secrets."""
    status = Status.FAILURE if isinstance(error, _REFUSED) else Status.ERROR
    return Failure(status, f"{error} [{error.code}]")
