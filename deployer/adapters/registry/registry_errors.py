"""Errors of one image registry, in words. In: a registry address, an answer or an error of the OCI client.
Out: the error that a user reads. Never decides anything about images, never quotes a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deployer.core.errors import ImageNotFound, PayloadRejected, RegistryRefused, RegistryUnavailable
from deployer.core.http.strict_json import parse_object
from deployer.core.images import DIGEST
from deployer.core.model import Credentials
from deployer.io.http_client import Answer, Fault, ServerUnavailable
from deployer.io.http_connections import AddressRefused
from deployer.io.oci_client import InsecureRedirect, LoginFailed, LoginFailure, Repository

_CODE = re.compile(r"[A-Z_]{3,40}")  # of an error, such as MANIFEST_UNKNOWN
_DENIED = "a registry does not tell which: push it, or give a login that may read it (GHCR: a classic token)"


@dataclass(frozen=True)
class RegistryAddress:
    """Address of one repository on one registry. `host` receives the requests, `names` are the hosts that a
    login for it may name.
    """

    repository: str
    host: str
    name: str
    names: tuple[str, ...]
    plain: bool = False  # requests go without TLS
    inside: bool = False  # it may lie on this machine or in its network

    @property
    def place(self) -> Repository:
        """The repository as requests name it."""
        return Repository(f"{'http' if self.plain else 'https'}://{self.host}", self.name)

    def login(self, login: Credentials | None) -> Credentials | None:
        """Returns the login if it was made for this registry."""
        return login if login and login.host in self.names else None


@contextmanager
def in_words(address: RegistryAddress, reference: str) -> Iterator[None]:
    """Raises the errors of the OCI client as those that a user reads."""
    try:
        yield
    except AddressRefused as refusal:
        raise leads_inside(str(refusal)) from None
    except InsecureRedirect:
        raise RegistryUnavailable(f"{address.host} points to another host without TLS") from None
    except LoginFailed as error:
        raise _login_failed(address, reference, error) from None
    except ServerUnavailable as error:
        raise _unreachable(address, error.fault) from None


def _login_failed(
    address: RegistryAddress, reference: str, error: LoginFailed
) -> ImageNotFound | RegistryUnavailable:
    match error.failure:
        case LoginFailure.MISSING:
            return refused(address, reference, error.answer)
        case LoginFailure.REFUSED:
            return refused(address, "", error.answer)
        case LoginFailure.UNSUPPORTED if not error.challenge:
            return refused(address, "", error.answer)
        case LoginFailure.UNSUPPORTED:
            return RegistryUnavailable(f"{address.host} asks for a login in a way that is not supported")
        case LoginFailure.NO_TOKEN:
            try:
                parse_object(error.answer.body)
            except PayloadRejected as rejected:
                return _no_json(address, rejected)
            return RegistryUnavailable(f"{address.host} gave no token")


def leads_inside(host: str) -> RegistryRefused:
    return RegistryRefused(
        f"the registry {host} leads to this server or its network",
        hint="registry.host, or images or other-images of the app, may name such a registry in full",
    )


def read_object(address: RegistryAddress, raw: bytes) -> dict[str, Any]:
    """Parses a JSON object. Raises RegistryUnavailable."""
    try:
        return parse_object(raw)
    except PayloadRejected as error:
        raise _no_json(address, error) from None


def _no_json(address: RegistryAddress, error: PayloadRejected) -> RegistryUnavailable:
    return RegistryUnavailable(f"{address.host} answered something else than JSON: {error}")


def refused(address: RegistryAddress, reference: str, answer: Answer) -> ImageNotFound | RegistryUnavailable:
    """Returns the error for an unsuccessful answer, with the registry's own code."""
    code = _code_of(answer)
    if answer.status in (401, 403, 404):
        sign = "@" if DIGEST.fullmatch(reference) else ":"
        wanted = f"{address.repository}{sign}{reference}" if reference else address.repository
        text = f"{address.host} has no {wanted}, or this account may not read it{code}"
        return ImageNotFound(text, hint=_DENIED)
    if answer.status == 429:
        hint = "wait, or log in: an account has a higher limit"
        return RegistryUnavailable(f"{address.host} asks to slow down (429){code}", hint=hint)
    return RegistryUnavailable(
        f"{address.host} answered {answer.status}{code}", hint="try again, or look at its status page"
    )


def _code_of(answer: Answer) -> str:
    """Returns `: manifest unknown` from an error's body as the distribution specification has it,
    or empty.
    """
    try:
        errors = parse_object(answer.body).get("errors")
    except PayloadRejected:
        return ""
    first = errors[0] if isinstance(errors, list) and errors else {}
    code = first.get("code") if isinstance(first, dict) else None
    known = isinstance(code, str) and _CODE.fullmatch(code)
    return f": {str(code).lower().replace('_', ' ')}" if known else ""


def _unreachable(address: RegistryAddress, fault: Fault) -> RegistryUnavailable:
    # Only the kind of failure: a cause in words may quote the request.
    limited = fault in (Fault.LONG, Fault.SLOW)
    kind = "its answer is too long or too slow" if limited else fault
    return RegistryUnavailable(
        f"{address.host} cannot be reached: {kind}", hint="is the name right, the network up?"
    )
