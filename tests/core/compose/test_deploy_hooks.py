from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.deploy_hooks import Hook, HookMoment, hooks_of, is_one_way
from deployer.core.docker.container_requests import hook_body, hook_name
from deployer.core.errors import ComposeRejected
from testing.compose_models import application
from tests.core.docker.test_container_requests import BACKEND, PLACE


def tables(**settings: Any) -> dict[str, Any]:
    return {
        "web": {"depends_on": {"api": {}}, "x-deployer": {"post-deploy": "warm up"}},
        "api": {"x-deployer": settings},
    }


def test_hooks_are_run_in_dependency_order() -> None:
    found = hooks_of(tables(**{HookMoment.PRE_DEPLOY: ["npm", "run", "up to $$1"], "hook-timeout": "5s"}))
    assert found == (
        Hook("api", HookMoment.PRE_DEPLOY, ("npm", "run", "up to $1"), 5.0),
        Hook("web", HookMoment.POST_DEPLOY, ("warm", "up"), 600.0),
    )


@pytest.mark.parametrize("command", ["", [], [1], 7, "it's"])
def test_what_is_no_command_is_refused(command: object) -> None:
    with pytest.raises(ComposeRejected, match=r"x-deployer\.pre-deploy"):
        hooks_of(tables(**{HookMoment.PRE_DEPLOY: command}))


def test_going_back_may_be_forbidden() -> None:
    assert is_one_way(tables(rollback="never-after-pre-deploy"))
    assert not is_one_way(tables(rollback="automatic"))
    with pytest.raises(ComposeRejected, match="rollback is 'no'"):
        is_one_way(tables(rollback="no"))


def test_a_hook_is_its_service_run_once_and_reached_by_nobody() -> None:
    service = application().service("backend")
    hook = Hook("backend", HookMoment.PRE_DEPLOY, ("migrate",), 5.0)
    assert service
    body = hook_body(BACKEND, service, hook, PLACE, "d1")
    assert body["Cmd"] == ["migrate"] and body["Healthcheck"] == {"Test": ["NONE"]}
    assert body["HostConfig"]["RestartPolicy"] == {"Name": "no"} and body["HostConfig"]["PortBindings"] == {}
    assert body["Labels"]["com.docker.compose.oneoff"] == "True"
    assert body["Labels"]["deployer.hook"] == "pre-deploy" and body["Labels"]["deployer.deployment"] == "d1"
    endpoint = body["NetworkingConfig"]["EndpointsConfig"]["shop_default"]
    assert endpoint["Aliases"] == [PLACE.name]
    assert hook_name("shop", hook) == "shop-backend-pre-deploy"
