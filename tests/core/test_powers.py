"""What a Compose file may not ask of the host: each in the form that `docker compose config` prints."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.application import FOLDER
from deployer.core.config import load_config
from deployer.core.errors import ConfigError
from deployer.core.powers import KEYS, PowerRefused, is_grant, refuse_powers
from tests.stand.receiver import config_table

BUNDLE = "/var/lib/deployer/bundles/0123"


def judge(rendered: dict[str, Any], *granted: str) -> None:
    refuse_powers({FOLDER: BUNDLE, **rendered}, granted, project="shop", setting="apps.shop")


def service(**keys: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": "nginx", **keys}}}


def bind(source: str, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": "/data", **more}


ASKED: list[tuple[dict[str, Any], str]] = [
    (service(privileged=True), "privileged"),
    (service(post_start=[{"command": ["x"], "privileged": True}]), "privileged"),
    (service(pre_stop=[{"command": ["x"], "privileged": True}]), "privileged"),
    (service(use_api_socket=True), "use_api_socket"),
    (service(provider={"type": "awesomecloud"}), "provider"),
    (service(credential_spec={"file": "x"}), "credential_spec"),
    (service(gpus=[{"count": -1}]), "gpus"),
    (service(deploy={"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}), "gpus"),
    (service(network_mode="host"), "network_mode:host"),
    (service(network_mode="container:other"), "network_mode:container:other"),
    (service(network_mode="admin_default"), "network_mode:admin_default"),
    (service(pid="host"), "pid:host"),
    (service(pid="container:other"), "pid:container:other"),
    (service(ipc="host"), "ipc:host"),
    (service(ipc="container:other"), "ipc:container:other"),
    (service(uts="host"), "uts:host"),
    (service(userns_mode="host"), "userns_mode:host"),
    (service(cgroup="host"), "cgroup:host"),
    (service(cgroup_parent="/system.slice"), "cgroup_parent:/system.slice"),
    (service(runtime="nvidia"), "runtime:nvidia"),
    (service(cap_add=["SYS_ADMIN"]), "cap_add:SYS_ADMIN"),
    (service(cap_add=["cap_net_admin"]), "cap_add:NET_ADMIN"),
    (service(cap_add=["ALL"]), "cap_add:ALL"),
    (service(security_opt=["seccomp=unconfined"]), "security_opt:seccomp=unconfined"),
    (service(security_opt=["seccomp:unconfined"]), "security_opt:seccomp:unconfined"),
    (service(security_opt=["apparmor:unconfined"]), "security_opt:apparmor:unconfined"),
    (service(security_opt=["label:disable"]), "security_opt:label:disable"),
    (service(security_opt=["systempaths=unconfined"]), "security_opt:systempaths=unconfined"),
    (service(security_opt=["no-new-privileges:false"]), "security_opt:no-new-privileges:false"),
    (service(devices=["/dev/kvm:/dev/kvm:rwm"]), "devices:/dev/kvm"),
    (service(devices=[{"source": "/dev/mem", "target": "/dev/mem"}]), "devices:/dev/mem"),
    (service(device_cgroup_rules=["c 1:1 rwm"]), "device_cgroup_rules:c 1:1 rwm"),
    (service(external_links=["admin-db:db"]), "external_links:admin-db:db"),
    (service(volumes_from=["container:admin-db:ro"]), "volumes_from:container:admin-db:ro"),
    (service(volumes=[bind("/")]), "bind:/"),
    (service(volumes=[bind("/etc")]), "bind:/etc"),
    (service(volumes=[bind("/var/lib/deployer")]), "bind:/var/lib/deployer"),
    (
        service(volumes=[bind(f"{BUNDLE}/../4567/compose.yaml")]),
        "bind:/var/lib/deployer/bundles/4567/compose.yaml",
    ),
    (service(volumes=[bind(f"{BUNDLE}4/x")]), f"bind:{BUNDLE}4/x"),
    (service(volumes=[bind("/var/run/docker.sock")]), "bind:/run/docker.sock"),
    (service(volumes=[bind("/run/docker.sock", read_only=True)]), "bind:/run/docker.sock"),
    (service(volumes=[bind("//var/./run/docker.sock")]), "bind:/run/docker.sock"),
    (service(volumes=[bind(f"{BUNDLE}/a", bind={"propagation": "rshared"})]), "propagation:rshared"),
    (service(volumes=[{"type": "npipe", "source": "x", "target": "/x"}]), "mount:npipe"),
    (service(volumes=[{"type": "cluster", "source": "x", "target": "/x"}]), "mount:cluster"),
    ({**service(), "configs": {"shadow": {"file": "/etc/shadow"}}}, "bind:/etc/shadow"),
    ({**service(), "secrets": {"key": {"file": "/var/lib/deployer/key"}}}, "bind:/var/lib/deployer/key"),
    (
        {**service(), "volumes": {"v": {"driver_opts": {"type": "none", "o": "bind", "device": "/etc"}}}},
        "bind:/etc",
    ),
    (
        {**service(), "volumes": {"v": {"driver_opts": {"type": "ext4", "device": "/dev/vda"}}}},
        "bind:/dev/vda",
    ),
    ({**service(), "volumes": {"v": {"driver_opts": {"type": "nfs", "device": ":/x"}}}}, "mount:nfs"),
    ({**service(), "volumes": {"v": {"driver": "rclone"}}}, "driver:rclone"),
    ({**service(), "volumes": {"v": {"name": "admin_data"}}}, "volume:admin_data"),
    ({**service(), "volumes": {"v": {"name": "shop_data", "external": True}}}, "volume:shop_data"),
    ({**service(), "networks": {"n": {"name": "admin_default", "external": True}}}, "network:admin_default"),
    ({**service(), "networks": {"n": {"name": "host", "external": True}}}, "network:host"),
    ({**service(), "networks": {"n": {"driver": "macvlan"}}}, "driver:macvlan"),
]


@pytest.mark.parametrize(("rendered", "grant"), ASKED, ids=[grant for _, grant in ASKED])
def test_power_over_the_host_is_refused_until_it_is_granted(rendered: dict[str, Any], grant: str) -> None:
    with pytest.raises(PowerRefused) as refused:
        judge(rendered)
    assert f"asks for {grant}" in str(refused.value)
    assert refused.value.hint.endswith(f'[apps.shop] allow = ["{grant}"]')
    assert is_grant(grant), "what the hint says to write is a setting"
    judge(rendered, grant)


@pytest.mark.parametrize(
    "rendered",
    [
        service(),
        {"services": None},
        service(privileged=False, cap_add=["NET_BIND_SERVICE", "CAP_CHOWN"], cap_drop=["ALL"]),
        service(security_opt=["no-new-privileges", "no-new-privileges:true"], runtime="runc"),
        service(network_mode="service:db", pid="service:db", ipc="shareable", cgroup="private"),
        service(network_mode="none"),
        service(volumes_from=["db:ro"], post_start=[{"command": ["x"]}]),
        service(
            volumes=[
                bind(f"{BUNDLE}/nginx.conf"),
                bind(f"{BUNDLE}/./a/../b", bind={"propagation": "private"}),
            ]
        ),
        service(volumes=[{"type": "volume", "source": "data"}, {"type": "tmpfs"}, {"type": "image"}]),
        service(deploy={"resources": {"reservations": {"memory": "1"}}}),
        {
            **service(),
            "volumes": {
                "data": None,
                "more": {"name": "shop_more"},
                "ram": {"driver_opts": {"type": "tmpfs"}},
            },
            "networks": {"default": {"name": "shop_default", "driver": "bridge"}, "back": None},
            "configs": {"a": {"file": f"{BUNDLE}/a"}, "b": {"content": "x"}, "c": None},
            "secrets": {"d": {"environment": "D"}},
        },
    ],
)
def test_what_stays_in_the_container_needs_no_grant(rendered: dict[str, Any]) -> None:
    judge(rendered)


def test_all_that_is_asked_for_is_named_at_once() -> None:
    with pytest.raises(PowerRefused) as refused:
        judge(service(privileged=True, pid="host", volumes=[bind("/srv"), bind("/srv")]), "pid:host")
    assert str(refused.value).count("asks for") == 3 and "pid" not in str(refused.value)
    assert refused.value.hint.endswith('allow = ["privileged", "bind:/srv"]')


@pytest.mark.parametrize("path", ["/srv/data", "/srv/data/a/b", "/srv/data/../data/c"])
def test_a_granted_folder_is_granted_with_all_below_it(path: str) -> None:
    judge(service(volumes=[bind(path)]), "bind:/srv/data")


@pytest.mark.parametrize("path", ["/srv", "/srv/database", "/srv/data/../x", "/"])
def test_and_nothing_beside_or_above_it(path: str) -> None:
    with pytest.raises(PowerRefused):
        judge(service(volumes=[bind(path)]), "bind:/srv/data")


@pytest.mark.parametrize("folder", ["/", "/run", "/var/run"])
def test_the_engines_socket_is_granted_by_its_own_path_only(folder: str) -> None:
    mounted = service(volumes=[bind("/var/run/docker.sock")])
    with pytest.raises(PowerRefused):
        judge(mounted, f"bind:{folder}")
    judge(mounted, "bind:/run/docker.sock")
    judge(mounted, "bind:/var/run/docker.sock")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "all",
        "bind",
        "bind:",
        "bind:srv",
        "bind:/srv/../etc",
        "privileged:true",
        "pid",
        "pid:",
        "ports:80",
        "*",
    ],
)
def test_a_setting_that_grants_nothing_is_refused_when_it_is_read(text: str) -> None:
    assert not is_grant(text)
    with pytest.raises(ConfigError, match=r"production\.allow"):
        load_config(config_table(allow=[text]))


def test_every_key_can_be_granted() -> None:
    assert {grant.partition(":")[0] for _, grant in ASKED} == set(KEYS)
    assert load_config(config_table(allow=["bind:/srv"])).apps["shop"].environments["production"].allow == (
        "bind:/srv",
    )
