"""What each error means to a request and to a deployment, as clients and GitHub know it."""

from __future__ import annotations

import pytest

from deployer.core.errors import DeployerError, HookFailed, error_of
from testing.error_classes import every_error

# Code → HTTP status and outcome. All other codes have 500 and `error`.
KNOWN = {
    "budget-exceeded": (500, "failure"),
    "certificate-invalid": (500, "failure"),
    "compose-rejected": (422, "failure"),
    "confirmation-failed": (500, "failure"),
    "container-refused": (500, "failure"),
    "content-type-rejected": (415, "failure"),
    "engine-unavailable": (503, "error"),
    "external-missing": (500, "failure"),
    "forbidden": (403, "error"),
    "gate-failed": (500, "failure"),
    "github-unavailable": (503, "error"),
    "hook-failed": (500, "failure"),
    "image-not-found": (500, "failure"),
    "image-of-another": (422, "failure"),
    "image-unproven": (422, "failure"),
    "issuer-unavailable": (503, "error"),
    "name-taken": (500, "failure"),
    "not-found": (404, "error"),
    "not-waiting": (409, "error"),
    "other-project": (500, "failure"),
    "payload-rejected": (400, "failure"),
    "port-taken": (500, "failure"),
    "power-refused": (500, "failure"),
    "registry-refused": (422, "failure"),
    "registry-unavailable": (503, "error"),
    "release-incomplete": (422, "failure"),
    "signature-mismatch": (401, "error"),
    "store-unavailable": (503, "error"),
    "token-rejected": (401, "error"),
    "too-many-requests": (429, "error"),
    "too-many-streams": (503, "error"),
    "worker-silent": (503, "error"),
}
ERRORS = every_error()


def test_every_known_code_has_a_class() -> None:
    assert len(ERRORS) > 50 and KNOWN.keys() <= {one.code for one in ERRORS}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__qualname__)
def test_an_error_has_the_status_and_the_outcome_that_its_code_has_had(error: type[DeployerError]) -> None:
    assert (error.http_status, error.outcome) == KNOWN.get(error.code, (500, "error"))


def test_a_code_belongs_to_one_class_and_those_below_it() -> None:
    owners = [one.code for one in ERRORS if "code" in vars(one)]
    assert len(owners) == len(set(owners))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__qualname__)
def test_an_error_of_another_process_has_the_status_of_its_code(error: type[DeployerError]) -> None:
    met = error_of(error.code, "it broke", "mend it")
    assert (met.code, met.http_status, str(met), met.hint) == (
        error.code,
        error.http_status,
        "it broke",
        "mend it",
    )


@pytest.mark.parametrize("code", ["internal", "a-code-of-a-newer-worker", ""])
def test_a_code_that_no_class_has_is_answered_as_an_internal_error(code: str) -> None:
    met = error_of(code, "the worker broke", "")
    assert (met.code, met.http_status) == (code, 500)
    assert DeployerError.http_status == 500 and DeployerError.code == "deployer-error"


def test_a_failed_hook_says_where_its_output_is() -> None:
    assert HookFailed("migrate ended with code 3").hint == "its output is in the deployment's events"
