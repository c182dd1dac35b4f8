from __future__ import annotations

import json
from typing import Any

import pytest

from deployer.core.compose.rendering import Folders
from deployer.core.docker.container_requests import (
    HEIR_LABEL,
    NETWORKS_LABEL,
    VOLUMES_LABEL,
    ContainerIdentity,
    CreateRequest,
    edge_body,
    endpoints_of_label,
    fixed_name,
    free_numbers,
    inherit_volumes,
    name_of,
    names_another_container,
    networks_in,
    next_name,
    own_name,
    replica_body,
    with_mounted_files,
    with_network_names,
)
from deployer.core.docker.link_names import names_at_the_edge
from deployer.core.rollout.desired_state import EDGE, SPEC_LABEL
from testing.compose_models import application, digest, image, shop

LABEL = "com.docker.compose."


def recorded(service: str, port: str = "", **host: Any) -> CreateRequest:
    """As Compose asks for it."""
    body = {
        "Image": "acme/x:latest",
        "Labels": {
            f"{LABEL}service": service,
            f"{LABEL}config-hash": "users-own",
            f"{LABEL}image": "sha256:0",
            f"{LABEL}container-number": "1",
            f"{LABEL}project.config_files": "/x",
            f"{LABEL}replace": "old",
        },
        "HostConfig": {"PortBindings": {f"{port}/tcp": [{"HostPort": f"1{port}"}]} if port else {}, **host},
        "NetworkingConfig": {
            "EndpointsConfig": {
                "shop_default": {"Aliases": [f"shop-{service}-1", service, "other"], "Links": None}
            }
        },
    }
    return CreateRequest(f"id-of-{service}", f"shop-{service}-1", body)


BACKEND, FRONTEND = recorded("backend", "3001"), recorded("frontend", "80")
PLACE = ContainerIdentity(
    "shop-backend-2", 2, "sha256:local", "/state/compose.yaml", {"shop-frontend-1": "shop-frontend-7"}
)


def made(one: CreateRequest = BACKEND) -> dict[str, Any]:
    service = application().service("backend")
    assert service
    return replica_body(one, service, PLACE)


def test_a_replica_is_what_compose_asked_for_by_digest_without_ports_and_names_of_the_edge() -> None:
    body = made()
    assert body["Image"] == str(image("backend", "a"))
    assert body["HostConfig"]["PortBindings"] == {}
    endpoint = body["NetworkingConfig"]["EndpointsConfig"]["shop_default"]
    assert endpoint["Aliases"] == ["shop-backend-2", "other"]
    assert BACKEND.body["HostConfig"]["PortBindings"], "the recording stays as it is"


def test_its_labels_are_those_that_composes_own_up_looks_for() -> None:
    labels = made()["Labels"]
    assert labels[f"{LABEL}config-hash"] == "users-own"
    assert labels[f"{LABEL}image"] == "sha256:local"
    assert labels[f"{LABEL}container-number"] == "2"
    assert labels[f"{LABEL}project.config_files"] == "/state/compose.yaml"
    assert f"{LABEL}replace" not in labels and SPEC_LABEL in labels


@pytest.mark.parametrize(
    ("given", "interval", "period", "then"),
    [
        (250, 30_000, 60_000, 10_000),
        (250, 5000, 0, 10_000),
        (250, 1000, 60_000, 2000),
        (250, 30_000, 4000, 4000),
        (15_000, 30_000, 60_000, 15_000),
        (0, 30_000, 60_000, 0),
        (250, 0, 0, 10_000),
    ],
)
def test_docker_asks_less_often_while_the_gate_asks_itself(
    given: int, interval: int, period: int, then: int
) -> None:
    check = {
        "StartInterval": given * 10**6,
        "Interval": interval * 10**6,
        "StartPeriod": period * 10**6,
    }
    one = CreateRequest(BACKEND.id, BACKEND.name, dict(BACKEND.body) | {"Healthcheck": check})
    service = application().service("backend")
    assert service
    told = replica_body(one, service, PLACE, reached=True)["Healthcheck"]
    assert told == check | {"StartInterval": then * 10**6}
    assert made(one)["Healthcheck"] == check, "where the gate does not reach it, only Docker tells"
    assert "Healthcheck" not in replica_body(BACKEND, service, PLACE, reached=True)


def test_links_lead_to_the_containers_that_run() -> None:
    body = made(recorded("backend", Links=["shop-frontend-1:www", "elsewhere:x"]))
    assert body["HostConfig"]["Links"] == ["shop-frontend-7:www", "elsewhere:x"]


def test_edge_e4_the_names_that_the_engine_takes_from_a_container_are_the_edges() -> None:
    model = shop()
    own = {"hostname": "api.internal", "container_name": "the-api", "x-deployer": {"order": "start-first"}}
    model["services"]["backend"] |= own
    app = application(model=model)
    service = app.service("backend")
    assert service and service.aliases == {"default": ("backend", "api.internal", "the-api")}
    one = CreateRequest(BACKEND.id, BACKEND.name, {**BACKEND.body, "Hostname": "api.internal"})
    assert "Hostname" not in replica_body(one, service, PLACE)
    assert fixed_name(app, "backend") == "", "its replicas are named as Compose names any other"
    edge = edge_body(app, (FRONTEND, one))["NetworkingConfig"]["EndpointsConfig"]["shop_default"]
    assert edge["Aliases"] == ["backend", "other", "api.internal", "the-api", "frontend"]


def test_edge_e4_links_to_a_service_behind_the_edge_lead_to_the_edge() -> None:
    app, elsewhere = application(), recorded("side")
    elsewhere.body["NetworkingConfig"]["EndpointsConfig"] = {"shop_other": {}}
    assert names_at_the_edge(app, FRONTEND, (BACKEND, recorded("cron"))) == {"shop-backend-1": "backend"}
    assert names_at_the_edge(app, elsewhere, (BACKEND,)) == {}


def test_the_edge_has_the_ports_and_names_of_all_and_is_a_one_off_container_for_compose() -> None:
    body = edge_body(application(), (FRONTEND, BACKEND, recorded("cron", "9")))
    assert body["HostConfig"]["PortBindings"] == {
        "3001/tcp": [{"HostPort": "13001"}],
        "80/tcp": [{"HostPort": "180"}],
    }
    assert body["NetworkingConfig"]["EndpointsConfig"] == {
        "shop_default": {"Aliases": ["backend", "other", "frontend"]}
    }
    assert body["Labels"][f"{LABEL}oneoff"] == "True"
    assert body["Labels"][f"{LABEL}service"] == "backend" and body["Labels"]["deployer.service"] == EDGE
    host = body["HostConfig"]
    assert host["CapDrop"] == ["ALL"] and host["ReadonlyRootfs"] and body["User"] == "99:99"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("", "shop-backend"),
        ("ghcr.io/acme/shop-backend", "ghcr.io/acme/shop-backend"),
        ("ghcr.io/acme/shop-backend:v1", "ghcr.io/acme/shop-backend:v1"),
        (f"ghcr.io/acme/shop-backend@{digest('a')}", ""),
        ("nginx:alpine", ""),
    ],
)
def test_the_users_name_for_an_image_is_given_to_it_and_to_no_other(image: str, name: str) -> None:
    model = shop()
    model["services"]["backend"]["image"] = image
    app = application(model=model)
    service = app.service("backend")
    assert service and own_name(app, service) == name


@pytest.mark.case("H06")
def test_nameless_volumes_go_on_to_the_next_container_and_named_ones_are_the_files() -> None:
    kept = {"Type": "bind", "Source": "/srv", "Target": "/srv"}
    mounts = [kept, {"Type": "volume", "Target": "/one/"}, {"Type": "volume", "Target": "/new"}]
    mounts.append({"Type": "volume", "Source": "shop_data", "Target": "/named"})
    body = made(recorded("backend", Mounts=mounts, Binds=["/x:/three:ro"], Tmpfs={"/four": ""}))
    volumes = {"/one": "a", "/two": "b", "/three": "c", "/four": "d", "/gone": "e", "/named": "f"}
    inherit_volumes(body, volumes, ("/four", "/named", "/new", "/one", "/three", "/two"))
    left = {path: volumes[path] for path in ("/four", "/gone", "/named", "/three")}
    assert json.loads(body["Labels"][VOLUMES_LABEL]) == left
    assert body["HostConfig"]["Mounts"] == [
        kept,
        {"Type": "volume", "Target": "/new"},
        {"Type": "volume", "Source": "shop_data", "Target": "/named"},
        {"Type": "volume", "Source": "a", "Target": "/one"},
        {"Type": "volume", "Source": "b", "Target": "/two"},
    ]
    bare = made()
    inherit_volumes(bare, {}, ())
    assert bare["HostConfig"]["Mounts"] == [] and VOLUMES_LABEL not in bare["Labels"]


@pytest.mark.case("H06")
def test_a_repository_cannot_name_the_volumes_that_are_handed_on() -> None:
    one = recorded("backend")
    one.body["Labels"][VOLUMES_LABEL] = '{"/data": "other-apps-volume"}'
    assert VOLUMES_LABEL not in made(one)["Labels"]


def test_numbers_are_the_lowest_that_are_free() -> None:
    assert free_numbers("shop", "web", [name_of("shop", "web", 1), "shop-web-3"], 2) == [2, 4]


def test_who_shares_another_containers_network_or_volumes_names_it() -> None:
    sharing = recorded("side", NetworkMode="container:id-of-backend")
    assert names_another_container(sharing, (BACKEND, sharing))
    assert names_another_container(recorded("side", VolumesFrom=["id-of-backend:ro"]), (BACKEND,))
    assert not names_another_container(recorded("side", NetworkMode="shop_default"), (BACKEND,))
    assert networks_in((BACKEND, FRONTEND)) == {"shop_default"}


def test_a_replica_without_the_edge_keeps_its_ports_and_its_names() -> None:
    model = shop()
    model["services"]["backend"]["x-deployer"] = {"order": "stop-first"}
    model["services"]["backend"]["container_name"] = "the-backend"
    app = application(model=model)
    service = app.service("backend")
    assert service and not service.routes
    body = replica_body(BACKEND, service, PLACE)
    assert body["HostConfig"]["PortBindings"] == {"3001/tcp": [{"HostPort": "13001"}]}
    names = body["NetworkingConfig"]["EndpointsConfig"]["shop_default"]["Aliases"]
    assert names == ["shop-backend-2", "backend", "other"]
    assert fixed_name(app, "backend") == "the-backend" and fixed_name(app, "frontend") == ""
    assert json.loads(body["Labels"][NETWORKS_LABEL]) == body["NetworkingConfig"]["EndpointsConfig"]
    assert HEIR_LABEL not in body["Labels"] and NETWORKS_LABEL not in made()["Labels"]


def test_one_that_takes_ports_over_says_so() -> None:
    model = shop()
    model["services"]["backend"]["x-deployer"] = {"order": "start-first", "edge": False}
    service = application(model=model).service("backend")
    assert service and service.hands_over_ports
    assert replica_body(BACKEND, service, PLACE)["Labels"][HEIR_LABEL] == "true"


def test_files_of_the_release_are_mounted_read_only_from_the_folder_that_containers_may_see() -> None:
    folders = Folders("/state/compose/1", "/state/bundles/1")
    binds = ["/state/compose/1/a:/a:rw,z", "/state/compose/1/b:/b", "/srv/x:/x:rw", "data:/data"]
    mounts = [
        {"Type": "bind", "Source": "/state/compose/1", "Target": "/c"},
        {"Type": "bind", "Source": "/state/compose/12/a", "Target": "/d"},
        {"Type": "volume", "Target": "/e"},
    ]
    host = with_mounted_files(recorded("web", Binds=binds, Mounts=mounts), folders).body["HostConfig"]
    assert host["Binds"] == [
        *("/state/bundles/1/a:/a:ro,z", "/state/bundles/1/b:/b:ro", "/srv/x:/x:rw", "data:/data"),
    ]
    assert host["Mounts"] == [
        {"Type": "bind", "Source": "/state/bundles/1", "Target": "/c", "ReadOnly": True},
        *mounts[1:],
    ]
    bare = with_mounted_files(recorded("web"), Folders()).body["HostConfig"]
    assert not bare.get("Binds") and not bare.get("Mounts")


def test_networks_are_named_where_compose_sends_their_ids() -> None:
    one = recorded("web", NetworkMode="f00")
    one = CreateRequest(one.id, one.name, {**one.body, "NetworkingConfig": {"EndpointsConfig": {"f00": {}}}})
    named = with_network_names(one, {"f00": "proxy", "bar": "other"}).body
    assert named["HostConfig"]["NetworkMode"] == "proxy"
    assert named["NetworkingConfig"]["EndpointsConfig"] == {"proxy": {}}
    assert with_network_names(one, {"bar": "other"}) is one


def test_a_name_that_waits_begins_with_the_project() -> None:
    assert next_name("shop", "api") == "shop.api.next"


def test_networks_of_a_label_that_cannot_be_read_are_none() -> None:
    assert endpoints_of_label("[1]") == endpoints_of_label("{") == endpoints_of_label("") == {}
