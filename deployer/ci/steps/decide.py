"""`decide`: the permitted mode of this run. In: environment, event file. Out: outputs mode, reason,
environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from deployer.ci import run_state
from deployer.ci.git.workspace_marker import is_kept
from deployer.ci.github import workflow_commands
from deployer.ci.github.env_input import given_variables
from deployer.ci.github.inputs import (
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
from deployer.ci.github.permissions import require_identity
from deployer.ci.server.verify_inputs import outside
from deployer.core.build.branch_rules import Rule, default_rules, parse_branches
from deployer.core.build.run_mode import Mode, ModeDecision, decide_mode
from deployer.core.errors import ConfigError

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
    """Decides the mode. Raises InputsRejected with every problem."""
    run_state.clear()
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
    """Returns the rules of the input `branches`, else those of the two branch inputs."""
    lines = input_text("branches")
    if lines:
        return parse_branches(lines, place)
    return default_rules(branch("production-branch"), branch("develop-branch"), place)


def _compose_file() -> None:
    """Checks for a Compose file, unless the next step fills the workspace and then checks it."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE", "."))
    if not workspace.is_dir() or (any(workspace.iterdir()) and not _is_refilled()):
        compose_file(workspace)


def _is_refilled() -> bool:
    try:
        return is_kept(read_context())
    except ConfigError:  # reported by its own check
        return False


def _identity() -> None:
    """Checks the permission now, before the build and the tests."""
    if not input_text("secret"):
        require_identity()


def _test_service() -> None:
    if input_text("test-service") and not input_text("test-command"):
        raise ConfigError("test-service", "names the service for test-command, but there is no test-command")


def _needs(decision: ModeDecision | None) -> list[Callable[[], object]]:
    """Returns the checks that only some modes need; without a decision, those that can run anyway."""
    checks: list[Callable[[], object]] = []
    if decision is None or decision.mode is not Mode.SKIP:
        checks += [_compose_file, _test_service]
    if decision.mode is Mode.DEPLOY if decision else input_text("server"):
        checks.append(server)
    if decision and decision.mode is Mode.DEPLOY:
        checks.append(_identity)
    return checks


def _publish(decision: ModeDecision) -> None:
    outputs = {"mode": str(decision.mode), "reason": decision.reason, "environment": decision.environment}
    run_state.save("decision", outputs)
    run_state.save("refresh", decision.refresh)
    for name, value in outputs.items():
        workflow_commands.set_output(name, value)
    if decision.mode is Mode.SKIP:
        workflow_commands.notice(decision.reason, title="deployer: nothing to do")
    workflow_commands.say(f"{decision.mode}: {decision.reason}")
