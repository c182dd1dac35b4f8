"""The stack that the runner tests touches nothing of another stack on the same engine."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.ci.images.test_stack import isolate, left_out, spread, wait_seconds

ID = "sha256:" + "1" * 64
MODEL: dict[str, Any] = {
    "name": "shop",
    "services": {
        "web": {
            "build": {"context": "/w/web"},
            "image": "ghcr.io/acme/web:latest",
            "container_name": "web",
            "ports": [{"target": 80, "published": "80"}],
            "labels": {"traefik.enable": "true"},
            "restart": "always",
            "logging": {"driver": "syslog"},
            "deploy": {"replicas": 2, "restart_policy": {"condition": "any"}},
            "networks": {"default": {"aliases": ["www"], "ipv4_address": "10.0.0.2"}, "other": None},
            "environment": {"A": "a$$b"},
            "healthcheck": {"test": ["CMD", "true"]},
            "depends_on": {"db": {"condition": "service_healthy"}},
            "volumes": [
                {"type": "volume", "source": "files", "target": "/files"},
                {"type": "bind", "source": "/w/conf", "target": "/conf"},
                {"type": "bind", "source": "/etc/passwd", "target": "/etc/localtime", "read_only": True},
                {"type": "bind", "source": "/srv/real", "target": "/real"},
                {"type": "bind", "source": "/w/../srv", "target": "/tricky"},
                {"type": "bind", "source": "/wrong", "target": "/beside"},
                {"type": "tmpfs", "target": "/tmp"},
            ],
        },
        "db": {"image": "postgres:17", "pull_policy": "always"},
    },
    "networks": {
        "default": {"name": "shop_default", "ipam": {"config": [{"subnet": "10.0.0.0/24"}]}},
        "other": {"name": "edge", "external": True},
        "inner": {"name": "shop_inner", "internal": True},
    },
    "volumes": {
        "files": {"name": "shop_files", "external": True},
        "data": {"driver_opts": {"device": "/srv"}},
    },
    "configs": {"site": {"name": "shop_site", "file": "/w/site.conf"}},
    "x-deployer": {"a": 1},
}


@pytest.fixture
def stack() -> dict[str, Any]:
    return isolate(MODEL, {"web": ID}, project="ci-1-1-abc", workspace="/w")


def test_built_services_run_the_image_that_was_built_and_nothing_else(stack: dict[str, Any]) -> None:
    web, db = stack["services"]["web"], stack["services"]["db"]
    assert (web["image"], web["pull_policy"]) == (ID, "never")
    assert (db["image"], db["pull_policy"]) == ("postgres:17", "missing")


def test_what_the_service_is_stays(stack: dict[str, Any]) -> None:
    web = stack["services"]["web"]
    for key in ("environment", "healthcheck", "depends_on"):
        assert web[key] == MODEL["services"]["web"][key]
    assert web["deploy"] == {"replicas": 2}
    assert stack["configs"] == MODEL["configs"]


@pytest.mark.parametrize("key", ["build", "ports", "container_name", "labels", "restart", "logging"])
def test_claims_on_the_host_are_dropped(stack: dict[str, Any], key: str) -> None:
    assert key not in stack["services"]["web"]


def test_networks_and_volumes_are_the_tests_own(stack: dict[str, Any]) -> None:
    assert stack["name"] == "ci-1-1-abc"
    assert stack["networks"] == {"default": {}, "other": {}, "inner": {"internal": True}}
    assert stack["volumes"] == {"files": {}, "data": {}}
    assert stack["services"]["web"]["networks"] == {"default": {"aliases": ["www"]}, "other": {}}


def test_folders_outside_the_checkout_are_never_written(stack: dict[str, Any]) -> None:
    before, after = MODEL["services"]["web"]["volumes"], stack["services"]["web"]["volumes"]
    assert after[:3] == before[:3]
    assert after[6] == before[6]
    assert after[3:6] == [{"type": "volume", "target": path} for path in ("/real", "/tricky", "/beside")]


def test_the_model_itself_is_not_changed(stack: dict[str, Any]) -> None:
    assert "ports" in MODEL["services"]["web"]
    assert MODEL["networks"]["other"]["external"] is True


def test_the_wait_follows_from_the_health_checks_and_has_an_end() -> None:
    check = {"test": ["CMD", "true"], "interval": "5s", "timeout": "1s", "retries": 3}
    short = wait_seconds({"services": {"web": {"healthcheck": check}}})
    longer = wait_seconds({"services": {name: {"healthcheck": check} for name in "ab"}})
    assert 60 < short < longer < 900
    assert wait_seconds({"services": {str(n): {} for n in range(100)}}) == 900


@pytest.mark.case("H05")
@pytest.mark.parametrize(
    ("named", "same"),
    [
        ("ghcr.io/acme/web", True),
        ("ghcr.io/acme/web:v3", True),
        ("GHCR.io/Acme/Web", True),
        ("ghcr.io/acme/webs", False),
        (f"ghcr.io/acme/web@{ID}", False),
    ],
)
def test_a_service_that_names_a_built_image_is_tested_in_that_build(named: str, same: bool) -> None:
    worker = {"image": named, "command": ["work"], "platform": "linux/amd64"}
    model = {**MODEL, "services": {**MODEL["services"], "worker": worker}}
    ids = spread(model, {"web": ID}, {"web": "ghcr.io/acme/web"})
    made = isolate(model, ids, project="ci", workspace="/w")["services"]["worker"]
    assert (made["image"], made["pull_policy"]) == ((ID, "never") if same else (named, "missing"))


def test_what_no_build_gave_is_not_spread() -> None:
    assert spread(MODEL, {}, {"web": "ghcr.io/acme/web"}) == {}


def alone(**service: Any) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The service as it is tested, and what its test leaves out."""
    model = {"services": {"web": {"image": "web", **service}}}
    made = isolate(model, {}, project="ci", workspace="/w")["services"]["web"]
    return made, left_out(model)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cpus", 6.0), ("cpuset", "0-5"), ("cpu_shares", 512), ("cpu_quota", 50_000),
        ("cpu_rt_runtime", 400_000), ("mem_limit", "64000000000"), ("mem_reservation", "1g"),
        ("mem_swappiness", "0"), ("memswap_limit", "2g"),
        ("devices", [{"source": "/dev/ttyUSB0", "target": "/dev/ttyUSB0", "permissions": "rwm"}]),
        ("device_cgroup_rules", ["c 188:* rmw"]), ("gpus", [{"driver": "nvidia", "count": -1}]),
        ("runtime", "nvidia"), ("cgroup_parent", "/acme"), ("cgroup", "host"), ("oom_score_adj", -500),
        ("oom_kill_disable", True), ("blkio_config", {"weight": 300}), ("storage_opt", {"size": "1G"}),
        ("isolation", "hyperv"), ("credential_spec", {"file": "a.json"}), ("pids_limit", 100),
        ("external_links", ["redis_1"]),
    ],
)  # fmt: skip
def test_t1_the_test_asks_nothing_of_the_host_and_says_so(key: str, value: Any) -> None:
    made, told = alone(**{key: value}, shm_size="1g", cap_add=["SYS_NICE"])
    assert key not in made and told == {"web": [key]}
    assert made["shm_size"] == "1g" and made["cap_add"] == ["SYS_NICE"]


def test_t1_resources_of_deploy_are_named_one_by_one() -> None:
    gpu = [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    resources = {"limits": {"cpus": 6, "memory": "1g"}, "reservations": {"devices": gpu}}
    made, told = alone(deploy={"replicas": 2, "resources": resources, "placement": {}})
    assert made["deploy"] == {"replicas": 2, "placement": {}}
    named = ("limits.cpus", "limits.memory", "reservations.devices")
    assert told == {"web": [f"deploy.resources.{name}" for name in named]}


@pytest.mark.parametrize("sign", ["=", ":"])
def test_t1_profiles_that_the_host_would_have_to_know_are_left_out(sign: str) -> None:
    ours = [
        "no-new-privileges:true",
        f"apparmor{sign}unconfined",
        f"seccomp{sign}unconfined",
        f"label{sign}disable",
    ]
    made, told = alone(security_opt=[*ours, f"apparmor{sign}acme", f"label{sign}type:acme_t"])
    assert made["security_opt"] == ours
    assert told == {"web": [f"security_opt apparmor{sign}acme", f"security_opt label{sign}type:acme_t"]}


def test_t1_a_folder_that_only_the_server_has_is_an_empty_volume() -> None:
    mount = {"type": "bind", "target": "/conf", "read_only": True}
    missing, ours = "/srv/nobody-has-this", "/w/not-there-yet"
    made, _ = alone(
        volumes=[{**mount, "source": missing}, {**mount, "source": ours}, {**mount, "source": "/etc"}]
    )
    assert made["volumes"] == [
        {"type": "volume", "target": "/conf"}, {**mount, "source": ours}, {**mount, "source": "/etc"},
    ]  # fmt: skip


def test_t1_a_service_without_demands_is_told_nothing() -> None:
    assert alone(cpus=0, devices=None, deploy=None)[1] == {}


@pytest.mark.parametrize(
    ("profiles", "kept"), [(["prod"], None), (["test"], ["test"]), (["prod", "test"], ["test"]), ([], None)]
)
def test_t2_the_stack_has_no_profile_but_that_of_the_tests(
    profiles: list[str], kept: list[str] | None
) -> None:
    assert alone(profiles=profiles)[0].get("profiles") == kept
