"""Looking for secrets wherever something is written down. In: a stage. Out: the places that hold one, and how
many were looked at.

Planted ones (`CANARIES`), and those that came into being on the stage: people's tokens, OIDC tokens, the
runner's request token, read tokens. Each is looked for as it is and as what programs turn text into. Places
where a secret belongs are not looked at: the variables file, the rendered model, the bundles, what a
container's environment holds; a read token may stand in the answer that gave it.
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
    """One thing that was written down; `kind` says where such things are."""

    kind: str
    name: str
    content: bytes
    allowed: str = ""  # a secret that belongs here


def find_canaries(stage: Stage) -> tuple[list[str], int]:
    """The names of places with a hit, and the number of places."""
    found, looked = [], 0
    needles = [(secret, forms(secret)) for secret in secrets_of(stage)]
    for place in places(stage):
        looked += 1
        wanted = (form for secret, shapes in needles if secret != place.allowed for form in shapes)
        found += [f"{place.kind} {place.name}"] if holds(place.content, wanted) else []
    return found, looked


def secrets_of(stage: Stage) -> set[str]:
    """Everything that must not be found. Of an OIDC token the signature: a whole token holds it."""
    read = {token for answer in stage.answers if (token := _read_token(answer))}
    signatures = {token.rpartition(".")[2] for token in stage.issuer.minted}
    return {*CANARIES.values(), *stage.secrets, *read, *signatures, stage.issuer.request_token}


def forms(secret: str) -> set[bytes]:
    """The secret as text, in JSON, in a URL, in hex, and in both alphabets of base64 wherever it begins."""
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
    """Also where lines were folded, as in a header or a PEM block."""
    folded = content.replace(b"\r", b"").replace(b"\n", b"").replace(b"\\n", b"")
    return any(form in content or form in folded for form in wanted)


def places(stage: Stage) -> Iterator[Place]:
    """Everything that is looked at."""
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
    """The characters that the secret alone decides: those at its ends hold bits of its neighbours."""
    return encoded[-(-8 * offset // 6) : 8 * (offset + length) // 6]


def _read_token(answer: Answered) -> str:
    """What a POST of a deployment gives to read it with."""
    if answer.method != "POST" or READ_PREFIX.encode() not in answer.body:
        return ""
    return str(json.loads(answer.body).get("read_token", ""))


def _told_github(stage: Stage) -> Iterator[Place]:
    """Of the headers all but the one that carries GitHub's own token."""
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
    """The edge as a whole; of the others all but their environment."""
    for container in stage.containers():
        if service_of(container) != EDGE:
            container["Config"].pop("Env")
        yield Place("container", container["Name"], json.dumps(container).encode())
