"""`decide`: what this run may do. In: environment, event file. Out: outputs mode, reason, environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from deployer.ci import state, workflow
from deployer.ci.context import (
    InputsRejected,
    app,
    branch,
    compose_file,
    environment,
    input_text,
    problems,
    read_context,
    read_payload,
    registry,
    server,
    timeout,
)
from deployer.ci.outside import outside
from deployer.ci.variables import given_variables
from deployer.core.branches import Rule, default_rules, parse_branches
from deployer.core.mode import Mode, ModeDecision, decide_mode

_CHECKS: tuple[Callable[[], object], ...] = (
    read_context,
    read_payload,
    lambda: branch("production-branch"),
    lambda: branch("develop-branch"),
    environment,
    app,
    registry,
    timeout,
    given_variables,
    outside,
    lambda: parse_branches(input_text("branches"), "production"),
)


def run() -> None:
    """Raises InputsRejected with every problem there is."""
    state.clear()
    wrong = problems(*_CHECKS)
    decision = None if wrong else _decide()
    wrong += problems(*_needs(decision))
    if len(wrong) == 1:
        raise InputsRejected(wrong[0])
    if wrong or decision is None:
        raise InputsRejected("\n".join((f"{len(wrong)} problems", *wrong)))
    _publish(decision)


def _decide() -> ModeDecision:
    context = read_context()
    return decide_mode(
        context.event,
        context.ref,
        read_payload(),
        rules_of(environment()),
    )


def rules_of(place: str) -> tuple[Rule, ...]:
    """Those of the input `branches`, else those of the two branch inputs."""
    lines = input_text("branches")
    if lines:
        return parse_branches(lines, place)
    return default_rules(branch("production-branch"), branch("develop-branch"), place)


def _compose_file() -> None:
    """An empty workspace is filled by the next step, which looks again."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE", "."))
    if not workspace.is_dir() or any(workspace.iterdir()):
        compose_file(workspace)


def _needs(decision: ModeDecision | None) -> list[Callable[[], object]]:
    """What only some modes need; without a decision, what can be checked anyway."""
    checks: list[Callable[[], object]] = []
    if decision is None or decision.mode is not Mode.SKIP:
        checks.append(_compose_file)
    if decision.mode is Mode.DEPLOY if decision else input_text("server"):
        checks.append(server)
    return checks


def _publish(decision: ModeDecision) -> None:
    outputs = {"mode": str(decision.mode), "reason": decision.reason, "environment": decision.environment}
    state.save("decision", outputs)
    state.save("refresh", decision.refresh)
    for name, value in outputs.items():
        workflow.set_output(name, value)
    if decision.mode is Mode.SKIP:
        workflow.notice(decision.reason, title="deployer: nothing to do")
    workflow.say(f"{decision.mode}: {decision.reason}")
