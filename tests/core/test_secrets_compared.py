"""Secrets are compared in constant time: measured where it counts, and looked for everywhere else."""

from __future__ import annotations

import ast
import re
import secrets
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.core.errors import SignatureMismatch
from deployer.core.webhooks.delivery import verify
from testing.docker.docker_cli import ROOT
from testing.receiver.receiver_inputs import SECRET, sign

_SECRET = re.compile(r"(?:^|_)(?:secret|password|signature|mac|hmac|token|bearer)s?$")
# The runner compares its own two, and has no adversary.
_KNOWN = {"deployer/ci/images/registry_login.py": {"password"}}


def compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each operand of `==`, `!=` and `in` that is named like a secret."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            operands = [node.left, *node.comparators]
            if any(isinstance(operand, ast.Constant) for operand in operands):
                continue  # empty or not: tells nothing of the value
            for operand in operands:
                name = getattr(operand, "attr", getattr(operand, "id", ""))
                if _SECRET.search(name):
                    yield node.lineno, name


@pytest.mark.case("A13")
@pytest.mark.parametrize("path", sorted((ROOT / "deployer").rglob("*.py")), ids=lambda path: path.name)
def test_no_secret_is_compared_by_its_text(path: Path) -> None:
    known = _KNOWN.get(str(path.relative_to(ROOT)), set())
    found = [(line, name) for line, name in compared(ast.parse(path.read_text())) if name not in known]
    assert not found, f"use hmac.compare_digest, or find the row by the secret's hash: {found}"


def test_the_look_finds_what_it_looks_for() -> None:
    bad = "given == secret\nself.token != other\nsignature in known\ntoken == ''\nname == other\n"
    assert [name for _, name in compared(ast.parse(bad))] == ["secret", "token", "signature"]


@pytest.mark.case("A13")
@pytest.mark.long
def test_a_signature_that_begins_right_takes_no_longer_than_any_other() -> None:
    raw = b"x" * 2_000
    right = sign(raw)
    begins_right = right[:-1] + ("0" if right[-1] != "0" else "1")

    def took(signature: str) -> int:
        begun = time.perf_counter_ns()
        with pytest.raises(SignatureMismatch):
            verify(raw, signature, [SECRET])
        return time.perf_counter_ns() - begun

    def difference() -> float:
        times: dict[bool, list[int]] = {True: [], False: []}
        for number in range(40_000):  # in turns, so that what else the machine does hits both alike
            begins = bool(number % 2)
            times[begins].append(took(begins_right if begins else f"sha256={secrets.token_hex(32)}"))
        near, far = statistics.median(times[True]), statistics.median(times[False])
        return abs(near - far) / far

    differences = []
    for _ in range(3):
        differences.append(difference())
        if differences[-1] < 0.05:
            return
    pytest.fail(f"the medians of 20,000 differ by {differences}")
