"""Judgement of Compose's own calls to the engine's API. In: a call, the permissions of its project. Out: the
call as it may be passed on, or an error.

A permitted call is written anew from the judged object: two parsers may read the same bytes differently, for
example a key that occurs twice.
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
# No call that reads a container: Compose asks about the recorder's containers only.
_READS = re.compile(rf"/_ping|/version|/info|/networks(?:{_NAME})?|/volumes(?:{_NAME})?")
_QUERIES = frozenset({"filters", "verbose", "scope"})
_CREATES = {("POST", "/networks/create"): permit_network, ("POST", "/volumes/create"): permit_volume}


@dataclass(frozen=True)
class PermittedCall:
    """A call of Compose that was judged. Only `permit_call` makes one, and the engine's adapter forwards
    nothing else. `path` includes the query.
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
    """Permits a call; `path` includes the query. Raises PowerRefused, SubnetTaken, or ComposeRejected for a
    call that rendering and recording do not need.
    """
    whole, _, query = path.partition("?")
    found = _PATH.fullmatch(whole)
    version, bare = (found[1] or "", found[2]) if found else ("", whole)
    if method in ("GET", "HEAD") and _READS.fullmatch(bare):
        return PermittedCall(method, version + bare + _permitted_query(bare, query))
    if (method, bare) not in _CREATES or query:
        raise ComposeRejected(
            f"docker compose asks the engine for {method} {bare}, which the deployer does not pass on",
            hint="create what the Compose file needs by hand and declare it as external",
        )
    table = _object(body)
    _CREATES[method, bare](table, permissions, present)
    return PermittedCall(method, version + bare, json.dumps(table).encode())


def _permitted_query(bare: str, query: str) -> str:
    """Returns the query of a reading call, written anew. Raises ComposeRejected for an unknown key."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if unknown := {key for key, _ in pairs} - _QUERIES:
        raise ComposeRejected(
            f"docker compose asks the engine for {bare}?{min(unknown)}, which the deployer does not pass on"
        )
    return f"?{urlencode(pairs)}" if pairs else ""


def _object(body: bytes) -> Mapping[str, Any]:
    """Returns the body as a table. Raises ComposeRejected if it is not a JSON object."""
    try:
        table = json.loads(body)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise ComposeRejected("docker compose sent the engine a body that is no JSON object")
    return table
