from __future__ import annotations

import pytest

from deployer.core.errors import ComposeRejected, ReleaseIncomplete
from deployer.core.rollout.desired_state import EDGE, assemble, nothing
from testing.compose_models import EDGE_SETTINGS, application, image, shop


def test_the_users_model_is_not_changed() -> None:
    model = shop()
    assert application(model=model).document == model == shop()


def test_a_spec_changes_with_the_image_the_variables_and_the_network_and_nothing_else() -> None:
    base = application("ab")
    other = application("ac")
    assert base.service("backend") == other.service("backend")
    assert base.service("frontend").spec != other.service("frontend").spec  # type: ignore[union-attr]
    model = shop()
    model["networks"]["default"]["driver"] = "bridge"
    assert application(model=model).service("backend").spec != base.service("backend").spec  # type: ignore[union-attr]
    moved = shop()
    moved["services"]["backend"]["ports"][0]["published"] = "4001"
    republished = application(model=moved)
    assert republished.service("backend").spec == base.service("backend").spec  # type: ignore[union-attr]
    assert republished.service(EDGE).spec != base.service(EDGE).spec  # type: ignore[union-attr]


def test_services_stand_in_dependency_order_behind_the_edge() -> None:
    assert [(service.name, service.level) for service in application().services] == [
        (EDGE, 0),
        ("backend", 1),
        ("frontend", 2),
    ]


def test_without_ports_there_is_no_edge() -> None:
    model = {"services": {"cron": {"image": "x", "networks": {"default": None}, "command": None}}}
    app = assemble(model, {"cron": image("cron", "a")}, "shop", EDGE_SETTINGS)
    assert [service.name for service in app.services] == ["cron"]
    assert app.service("cron").level == 0 and app.routes == ()  # type: ignore[union-attr]
    assert app.service("web") is None


def test_a_port_that_two_services_listen_on_goes_to_the_published_one() -> None:
    model = shop()
    model["services"]["admin"] = {"build": {}, "expose": ["3001"], "networks": {"default": None}}
    images = {name: image(name, "a") for name in ("admin", "backend", "frontend")}
    app = assemble(model, images, "shop", EDGE_SETTINGS)
    admin = app.service("admin")
    assert admin and not admin.start_first and admin.order.cause == "backend has port 3001 on the edge"


def test_aliases_move_to_the_edge_once() -> None:
    model = shop()
    model["services"]["backend"]["networks"] = {"default": {"aliases": ["api", "backend"]}}
    app = application(model=model)
    assert app.service("backend").aliases == {"default": ("backend", "api")}  # type: ignore[union-attr]


def test_an_image_that_is_missing_stops_everything_before_it_begins() -> None:
    with pytest.raises(ReleaseIncomplete, match="service frontend has no image"):
        assemble(shop(), {"backend": image("backend", "a")}, "shop", EDGE_SETTINGS)


def test_a_model_without_services_is_refused() -> None:
    with pytest.raises(ComposeRejected, match="no service to run"):
        assemble({"services": {}}, {}, "shop", EDGE_SETTINGS)


def test_the_edges_name_cannot_be_taken() -> None:
    model = shop()
    model["networks"]["mine"] = {"name": "x_deployer-aside"}
    with pytest.raises(ComposeRejected, match="network mine: names that end in _deployer-aside"):
        application(model=model)
    with pytest.raises(ComposeRejected, match="deployer's own"):
        assemble({"services": {EDGE: {"image": "x"}}}, {}, "shop", EDGE_SETTINGS)


def test_a_wrong_setting_is_told_with_its_service() -> None:
    model = shop()
    model["services"]["backend"]["x-deployer"] = {"ordr": "stop-first"}
    with pytest.raises(ComposeRejected, match=r"service backend: x-deployer\.ordr is not a known setting"):
        application(model=model)


def test_nothing_is_an_application_too() -> None:
    assert nothing("shop").services == ()


def test_an_application_declares_no_more_networks_than_it_needs() -> None:
    model = shop()
    model["networks"] = {f"n{number}": None for number in range(17)}
    with pytest.raises(ComposeRejected, match="17 networks"):
        application(model=model)
