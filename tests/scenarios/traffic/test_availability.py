"""What users notice of a deploy, measured by the deployer itself, and the budget that takes a deploy back."""

from __future__ import annotations

from functools import partial

import pytest

from testing.stage import REPOSITORY, Stage, wait_for
from tests.scenarios.deploys.test_deploys import published_images, running_images

pytestmark = pytest.mark.engine


@pytest.mark.alone
def test_a_deploy_measures_what_its_users_notice_and_is_taken_back_where_that_is_too_much(
    stage: Stage,
) -> None:
    first = stage.publish("1.0.0")
    ended = stage.deploy(first)
    assert ended["status"] == "success", ended["reason"]
    good = stage.deploy(stage.publish("2.0.0"))
    measured = good["measured"]
    assert measured["failed"] == 0 and measured["requests"] > 20
    assert 0 < measured["longest_gap_ms"] < 1000
    assert measured["p50_ms"]["during"] > 0
    shown = stage.cli("show", good["id"])
    assert f"users: 0 of {measured['requests']} requests failed" in shown.stdout
    assert " measured  frontend: 0 of " in shown.stdout and " measured  backend: 0 of " in shown.stdout
    assert f"0/{measured['requests']}" in stage.cli("history", "shop").stdout
    wait_for("GitHub's word of it", partial(_told, stage, f"0 of {measured['requests']} requests failed"))
    serving = running_images(stage)
    model = (stage.source.folder / "compose.yaml").read_text(encoding="utf-8")
    extra = "    x-deployer: {order: stop-first, max-gap: 100ms}\n"
    stage.source.write("compose.yaml", model.replace("\n  backend:\n", f"\n  backend:\n{extra}", 1))
    costly = stage.deploy(stage.publish("3.0.0"))
    assert costly["status"] == "failure"
    assert "[budget-exceeded]" in costly["reason"] and "serves as before" in costly["reason"]
    assert costly["measured"]["failed"] > 0
    assert running_images(stage) == serving != published_images(first)
    assert stage.serves() == "2.0.0"


def _told(stage: Stage, text: str) -> bool:
    newest = stage.github.deployments(REPOSITORY)
    statuses = [status for one in newest for status in stage.github.statuses(one["id"])]
    return any(text in str(status["description"]) for status in statuses)
