"""Search for secrets in everything that a stage writes. In: a stage. Out: the places with a secret, and the
number of places that were searched.

The search covers planted secrets (`CANARIES`) and secrets that the stage made: people's tokens, OIDC tokens,
the runner's request token, read tokens. Each is searched for in plain text and in the encodings that programs
use. Places where a secret belongs are left out: the variables file, the rendered model, the bundles, a
container's environment; a read token may be in the answer that returned it.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from deployer.core.auth.api_tokens import READ_PREFIX
from deployer.core.rollout.desired_state import EDGE
from testing.client import CANARIES, Answered
from testing.docker.docker_cli import service_of
from testing.stage import Stage


@dataclass(frozen=True)
class Place:
    """One written text; `kind` names the class of its place."""

    kind: str
    name: str
    content: bytes
    allowed: str = ""  # the secret that may be here


def find_canaries(stage: Stage) -> tuple[list[str], int]:
    """Returns the names of places with a hit, and the number of places."""
    found, looked = [], 0
    needles = [(secret, forms(secret)) for secret in secrets_of(stage)]
    for place in places(stage):
        looked += 1
        wanted = (form for secret, shapes in needles if secret != place.allowed for form in shapes)
        found += [f"{place.kind} {place.name}"] if holds(place.content, wanted) else []
    return found, looked


def secrets_of(stage: Stage) -> set[str]:
    """Returns the secrets that must not be found. An OIDC token counts by its signature, which a whole token
    contains.
    """
    read = {token for answer in stage.answers if (token := _read_token(answer))}
    signatures = {token.rpartition(".")[2] for token in stage.issuer.minted}
    return {*CANARIES.values(), *stage.secrets, *read, *signatures, stage.issuer.request_token}


def forms(secret: str) -> set[bytes]:
    """Returns the secret as text, in JSON, in a URL, in hex, and in both base64 alphabets at every offset."""
    raw = secret.encode()
    plain = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), raw.hex()}
    escaped = {"".join(f"\\u{ord(letter):04x}" for letter in secret)}
    encoded = {
        _inside(text, offset, len(raw))
        for offset in range(3)
        for text in (base64.b64encode(bytes(offset) + raw), base64.urlsafe_b64encode(bytes(offset) + raw))
    }
    return {form.encode() for form in plain | escaped} | encoded


def holds(content: bytes, wanted: Iterable[bytes]) -> bool:
    """True if a text contains a secret, also across folded lines, as in a header or a PEM block."""
    folded = content.replace(b"\r", b"").replace(b"\n", b"").replace(b"\\n", b"")
    return any(form in content or form in folded for form in wanted)


def places(stage: Stage) -> Iterator[Place]:
    """Yields every place to search."""
    yield Place("server log", stage.log.name, stage.log.read_bytes())
    for number, answer in enumerate(stage.answers):
        name = f"{number}: {answer.method} {answer.path}"
        yield Place("answer", name, answer.body, _read_token(answer))
    for number, text in enumerate(stage.logs):
        yield Place("action's output", str(number), text.encode())
    for number, text in enumerate(stage.printed):
        yield Place("command's output", str(number), text.encode())
    assert stage.arguments, "a stage without a witness"
    for number, line in enumerate(tuple(stage.arguments)):
        yield Place("process arguments", str(number), line)
    yield from _told_github(stage)
    yield from _files(stage.state)
    yield from _rows(stage.state / "deployer.db")
    yield from _containers(stage)


def _inside(encoded: bytes, offset: int, length: int) -> bytes:
    """Returns the characters that depend on the secret alone: those at its ends share bits with their
    neighbours.
    """
    return encoded[-(-8 * offset // 6) : 8 * (offset + length) // 6]


def _read_token(answer: Answered) -> str:
    """Returns the read token in the answer to a deploy request."""
    if answer.method != "POST" or READ_PREFIX.encode() not in answer.body:
        return ""
    return str(json.loads(answer.body).get("read_token", ""))


def _told_github(stage: Stage) -> Iterator[Place]:
    """Yields the headers of calls to GitHub, except the one with GitHub's own token."""
    for number, call in enumerate(tuple(stage.github.calls)):
        headers = {name: value for name, value in call.headers.items() if name != "authorization"}
        said = json.dumps([call.path, dict(call.query), call.body, headers])
        yield Place("call to GitHub", f"{number}: {call.method} {call.path}", said.encode())


def _files(state: Path) -> Iterator[Place]:
    for path in state.rglob("*"):
        name = path.relative_to(state)
        belongs = name.parts[0] in ("key", "bundles") or name.match("projects/*/compose.yaml")
        if path.is_file() and not belongs:
            yield Place("file", str(name), path.read_bytes())


def _rows(path: Path) -> Iterator[Place]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for number, row in enumerate(database.execute(f"SELECT * FROM {table}")):
                yield Place("row", f"{number} of {table}", repr(row).encode())


def _containers(stage: Stage) -> Iterator[Place]:
    """Yields the edge's whole inspection, and the other containers' without their environment."""
    for container in stage.containers():
        if service_of(container) != EDGE:
            container["Config"].pop("Env")
        yield Place("container", container["Name"], json.dumps(container).encode())
