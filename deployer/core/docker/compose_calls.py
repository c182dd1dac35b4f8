"""The last gate for Compose's own calls to the engine's API. In: a call, the permissions of its project. Out:
the call as it may be passed on, or an error.

A call is passed on as it was judged, written anew from the judged object: two readers of the same bytes may
take them for two things, as a key that stands twice shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from deployer.core.docker.network_requests import nothing_present, permit_network, permit_volume
from deployer.core.errors import ComposeRejected
from deployer.core.permissions.project_permissions import Permissions, Present

_PATH = re.compile(r"(/v[0-9]{1,2}\.[0-9]{1,3})?(/[A-Za-z0-9_./-]*)", re.ASCII)
_NAME = r"/[A-Za-z0-9][A-Za-z0-9_.-]*"
# No call that looks at a container: Compose asks about those alone that the recorder made up.
_LOOKS = re.compile(rf"/_ping|/version|/info|/networks(?:{_NAME})?|/volumes(?:{_NAME})?")
_QUERIES = frozenset({"filters", "verbose", "scope"})
_MAKES = {("POST", "/networks/create"): permit_network, ("POST", "/volumes/create"): permit_volume}


@dataclass(frozen=True)
class PermittedCall:
    """A call of Compose's own that was judged. Only `permit_call` makes one, and the engine is passed nothing
    else. `path` with its query.
    """

    method: str
    path: str
    body: bytes = b""


def permit_call(
    method: str,
    path: str,
    body: bytes,
    permissions: Permissions,
    present: Callable[[], Present] = nothing_present,
) -> PermittedCall:
    """`path` with its query. Raises PowerRefused, SubnetTaken, ComposeRejected for a call that Compose has no
    need of here.
    """
    whole, _, query = path.partition("?")
    found = _PATH.fullmatch(whole)
    version, bare = (found[1] or "", found[2]) if found else ("", whole)
    if method in ("GET", "HEAD") and _LOOKS.fullmatch(bare):
        return PermittedCall(method, version + bare + _judged_query(bare, query))
    if (method, bare) not in _MAKES or query:
        raise ComposeRejected(
            f"docker compose asks the engine for {method} {bare}, which the deployer does not pass on",
            hint="create what the Compose file needs by hand and declare it as external",
        )
    table = _object(body)
    _MAKES[method, bare](table, permissions, present)
    return PermittedCall(method, version + bare, json.dumps(table).encode())


def _judged_query(bare: str, query: str) -> str:
    """The query of a look, written anew."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if unknown := {key for key, _ in pairs} - _QUERIES:
        raise ComposeRejected(
            f"docker compose asks the engine for {bare}?{min(unknown)}, which the deployer does not pass on"
        )
    return f"?{urlencode(pairs)}" if pairs else ""


def _object(body: bytes) -> Mapping[str, Any]:
    """Raises ComposeRejected for a body that is no JSON object."""
    try:
        table = json.loads(body)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise ComposeRejected("docker compose sent the engine a body that is no JSON object")
    return table
