"""What a Compose file may not ask of the host: each in the form that `docker compose config` prints."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.rendering import FOLDER
from deployer.core.config.settings import load_config
from deployer.core.errors import ComposeRejected, ConfigError
from deployer.core.permissions.compose_privileges import check_privileges
from deployer.core.permissions.grants import FLAGS, KEYS, PowerRefused, is_grant
from deployer.core.permissions.project_permissions import Neighbourhood
from testing.receiver.receiver_inputs import config_table

BUNDLE = "/var/lib/deployer/bundles/0123"


def judge(rendered: dict[str, Any], *granted: str) -> None:
    around = Neighbourhood(frozenset({"shop", "shop-staging", "shop_old", "billing"}))
    check_privileges(
        {FOLDER: BUNDLE, **rendered}, granted, project="shop", setting="apps.shop", around=around
    )


def service(**keys: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": "nginx", **keys}}}


def subnet(text: str) -> dict[str, Any]:
    return {"ipam": {"config": [{"subnet": text}]}}


def volume(**options: str) -> dict[str, Any]:
    return {**service(), "volumes": {"v": {"driver_opts": options}}}


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
    ({**service(), "volumes": {"v": {"driver_opts": {"type": "nfs", "device": ":/x"}}}}, "mount:nfs"),
    ({**service(), "volumes": {"v": {"driver": "rclone"}}}, "driver:rclone"),
    ({**service(), "volumes": {"v": {"name": "admin_data"}}}, "volume:admin_data"),
    ({**service(), "volumes": {"v": {"name": "shop_data", "external": True}}}, "volume:shop_data"),
    ({**service(), "networks": {"n": {"name": "admin_default", "external": True}}}, "network:admin_default"),
    ({**service(), "networks": {"n": {"name": "host", "external": True}}}, "network:host"),
    ({**service(), "networks": {"n": {"driver": "macvlan"}}}, "driver:macvlan"),
    (service(network_mode="bridge"), "network_mode:bridge"),
    (service(volumes=[{"type": "image", "source": "billing:1", "target": "/x"}]), "mount:image"),
    (service(oom_score_adj=-1000), "oom_score_adj"),
    (service(oom_kill_disable=True), "oom_kill_disable"),
    (service(cpu_shares=262144), "cpu_shares"),
    (service(blkio_config={"weight": 1000}), "blkio_config"),
    (service(stop_grace_period="3000h0m0s"), "stop_grace_period"),
    (service(logging={"options": {"tag": "{{define `a`}}x{{end}}"}}), "logging:default.tag"),
    (
        service(logging={"driver": "json-file", "options": {"tag": '{{pad "x" 9 0}}'}}),
        "logging:json-file.tag",
    ),
    (
        service(logging={"options": {"mode": "non-blocking", "max-buffer-size": "900m"}}),
        "logging:default.max-buffer-size",
    ),
    (service(container_name="deployer"), "container_name:deployer"),
    (service(container_name="billing"), "container_name:billing"),
    (service(container_name="billing.web.next"), "container_name:billing.web.next"),
    ({**service(), "networks": {"n": subnet("10.0.0.0/8")}}, "subnet:10.0.0.0/8"),
    ({**service(), "networks": {"n": subnet("fd00::/8")}}, "subnet:fd00::/8"),
    (service(shm_size="107374182400"), "shm_size"),
    (service(shm_size="100gb"), "shm_size"),
    (service(network_mode="shareable"), "network_mode:shareable"),
    (service(network_mode="private"), "network_mode:private"),
    (service(pid="private"), "pid:private"),
    ({**service(), "volumes": {"old_data": {}}}, "volume:shop_old_data"),
    ({**service(), "networks": {"old_back": {}}}, "network:shop_old_back"),
    (service(healthcheck={"test": ["CMD", "true"], "interval": "1ms"}), "healthcheck"),
    (service(healthcheck={"test": ["CMD", "true"], "start_interval": "10ms"}), "healthcheck"),
    (service(ports=[{"target": n, "published": str(20_000 + n)} for n in range(129)]), "count:ports"),
    (service(ports=[{"target": n} for n in range(129)]), "count:ports"),
    (
        {"services": {name: {"deploy": {"replicas": 51}} for name in ("a", "b")}},
        "count:replicas",
    ),
    ({**service(), "volumes": {f"v{n}": None for n in range(101)}}, "count:volumes"),
    (
        service(deploy={"replicas": 51}, volumes=[{"type": "volume", "target": f"/{n}"} for n in range(2)]),
        "count:volumes",
    ),
    (service(extra_hosts=[f"host-{n}=10.0.0.1" for n in range(60_000)]), "request:size"),
    (service(ulimits={"sigpending": 1_000_000}), "ulimits:sigpending"),
    (service(tmpfs="/x:rw,size=500g"), "tmpfs"),
    (service(tmpfs=["/x:size=1g"], shm_size="1536m"), "tmpfs"),
    (service(tmpfs=["/x:size=0"]), "tmpfs"),
    (service(tmpfs=["/x:nr_blocks=1000000"]), "tmpfs"),
    (service(tmpfs=["/x:size=80%"]), "tmpfs"),
    (service(tmpfs=["/x:size=x%"]), "tmpfs"),
    (service(tmpfs=["/x:size=000000000099%"]), "tmpfs"),
    (service(tmpfs=[f"/x:size={'9' * 400}g"]), "tmpfs"),
    (service(tmpfs=["/x:size=1536m", "/y:SIZE=1g"]), "tmpfs"),
    (service(volumes=[{"type": "tmpfs", "target": "/x", "tmpfs": {"size": "3221225472"}}]), "tmpfs"),
    (
        {
            **service(),
            "volumes": {"v": {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=900g"}}},
        },
        "tmpfs",
    ),
    (
        service(
            volumes=[
                {
                    "type": "volume",
                    "source": "v",
                    "volume": {"labels": {"com.docker.compose.project": "billing"}},
                }
            ]
        ),
        "label:com.docker.compose.project",
    ),
    *(
        (service(logging={"driver": driver, "options": {name: value}}), f"logging:{driver}.{name}")
        for driver in ("json-file", "local")
        for name, value in (
            ("max-file", "101"),
            ("max-file", "2000000000"),
            ("max-file", "-1"),
            ("max-file", "9" * 40),
            ("max-file", "1e9"),
            ("max-file", "0000000002000000"),
            ("max-size", "9" * 400),
            ("max-size", "1k"),
            ("max-size", "0"),
            ("max-size", " 1k"),
            ("max-size", "0.5m5"),
            ("cache-max-file", "1000000"),
            ("cache-max-size", "1"),
            ("labels-regex", "(a|" * 400),
        )
    ),
    (service(cpu_rt_runtime=95000), "cpu_rt"),
    (service(blkio_config={"device_read_bps": [{"path": "/dev/vda", "rate": 1}]}), "blkio_config"),
    (service(storage_opt={"dm.basesize": "1g"}), "storage_opt"),
    (service(ulimits={"memlock": -1}), "ulimits:memlock"),
    (service(ulimits={"rtprio": 99}), "ulimits:rtprio"),
    (service(ulimits={"nofile": {"soft": 1, "hard": 2_000_000}}), "ulimits:nofile"),
    (service(sysctls={"kernel.core_pattern": "|/x"}), "sysctls:kernel.core_pattern"),
    (service(sysctls={"net.ipv4.ipfrag_high_thresh": "1000000000"}), "sysctls:net.ipv4.ipfrag_high_thresh"),
    (service(sysctls={"net.ipv6.ip6frag_time": "9999"}), "sysctls:net.ipv6.ip6frag_time"),
    (service(annotations={"run.oci.hooks": "x"}), "annotations:run.oci.hooks"),
    (service(logging={"driver": "syslog", "options": {"tag": "x"}}), "logging:syslog"),
    (service(logging={"driver": "gelf"}), "logging:gelf"),
    (
        service(logging={"options": {"syslog-address": "tcp://127.0.0.1:6379"}}),
        "logging:default.syslog-address",
    ),
    (service(labels={"traefik.http.routers.x.rule": "Host(`billing`)"}), "label:traefik."),
    (service(labels={"ofelia.job-run.x.volume": "/:/host"}), "label:ofelia."),
    (service(labels={"CADDY": "billing.example.com"}), "label:caddy"),
    (service(environment={"VIRTUAL_HOST": "billing.example.com"}), "environment:VIRTUAL_HOST"),
    (service(container_name="billing-web-2"), "container_name:billing-web-2"),
    (service(container_name="shop-staging-web-1"), "container_name:shop-staging-web-1"),
    (
        service(networks={"default": {"driver_opts": {"com.docker.network.endpoint.ifname": "eth9"}}}),
        "driver_opts:com.docker.network.endpoint.ifname",
    ),
    (
        {
            **service(),
            "volumes": {"v": {"driver_opts": {"type": "tmpfs", "o": "size=1m", "device": "tmpfs", "x": "y"}}},
        },
        "driver_opts:x",
    ),
    ({**service(), "networks": {"n": subnet("169.254.169.0/24")}}, "subnet:169.254.169.0/24"),
    ({**service(), "networks": {"n": subnet("8.8.8.0/24")}}, "subnet:8.8.8.0/24"),
    ({**service(), "networks": {"n": subnet("172.16.0.0/11")}}, "subnet:172.16.0.0/11"),
    ({**service(), "networks": {"n": subnet("2001:db8::/64")}}, "subnet:2001:db8::/64"),
    ({**service(), "networks": {"n": subnet("nonsense")}}, "subnet:nonsense"),
    ({**service(), "networks": {"n": {"ipam": {"driver": "infoblox"}}}}, "ipam:infoblox"),
    ({**service(), "networks": {"n": {"ipam": {"options": {"a": "b"}}}}}, "ipam:options"),
    (
        {**service(), "networks": {"n": {"driver_opts": {"com.docker.network.bridge.name": "br0"}}}},
        "driver_opts:com.docker.network.bridge.name",
    ),
    ({**service(), "models": {"small": {"model": "x"}}}, "models"),
]


@pytest.mark.case("X06", "X07", "X09", "X12", "X13")
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
        service(volumes=[{"type": "volume", "source": "data"}, {"type": "tmpfs"}]),
        service(logging={"driver": "local", "options": {"max-size": "10m"}}),
        service(ulimits={"nofile": {"soft": 1024, "hard": 65536}, "core": -1, "memlock": 65536}),
        service(sysctls={"net.core.somaxconn": "1024", "kernel.shmmax": "1"}, shm_size="2gb"),
        service(logging={"options": {"tag": "{{.Name}}/{{ .ID }}", "max-buffer-size": "4m"}}),
        service(
            oom_score_adj=500,
            cpu_shares=512,
            stop_grace_period="1h",
            security_opt=["apparmor:docker-default"],
        ),
        service(volumes=[bind("/etc/localtime", read_only=True), bind("/etc/timezone", read_only=True)]),
        service(labels={"traefik.enable": "false", "com.centurylinklabs.watchtower.enable": "False"}),
        service(labels={"com.example.traefik": "x"}, container_name="shop-web", storage_opt={"size": "1g"}),
        service(
            tmpfs=["/x", "/y:size=64m,mode=1777"], logging={"options": {"max-size": "10m", "max-file": "3"}}
        ),
        service(
            logging={"driver": "local", "options": {"max-size": "-1", "max-file": "100", "compress": "true"}}
        ),
        {"services": {"staging": {"image": "web"}, "staging-web": {"image": "web"}}},
        service(container_name="shop-staging"),
        service(healthcheck={"test": ["CMD", "true"], "interval": "500ms", "start_interval": "100ms"}),
        service(healthcheck={"disable": True, "interval": "1ms"}),
        service(ports=[{"target": 1, "published": "20000-20999"}], environment={"A": "x" * 100_000}),
        service(deploy={"replicas": 100}, volumes=[{"type": "volume", "target": "/a"}]),
        service(tmpfs=["/x:size=50%", "/y:nr_inodes=10k,size=1g"], shm_size="1g"),
        service(logging={"options": {"labels": "a", "env": "B"}}, labels={"a": "b"}, environment={"B": None}),
        service(
            volumes=[
                {"type": "volume", "source": "v", "target": "/v", "volume": {"labels": {"backup": "daily"}}}
            ]
        ),
        service(container_name="shop-stage-web-1", blkio_config={"weight": 300}),
        {**service(), "networks": {"a": subnet("172.28.0.0/16"), "b": subnet("fd00:1::/64")}},
        {**service(), "networks": {"a": {"driver_opts": {"com.docker.network.driver.mtu": "1400"}}}},
        volume(type="tmpfs", device="tmpfs", o="size=64m,uid=1000,mode=0700,noexec"),
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
    assert str(refused.value).count("asks for") == 2 and "pid" not in str(refused.value)
    assert refused.value.hint.endswith('allow = ["privileged", "bind:/srv"]')


def test_a_granted_path_is_granted_in_every_spelling() -> None:
    judge(service(volumes=[bind("/srv/x/../data/.")]), "bind:/srv/data")


@pytest.mark.parametrize(
    "path", ["/srv", "/srv/database", "/srv/data/a", "/srv/data/a/b", "/srv/data/../x", "/"]
)
def test_and_nothing_beside_above_or_below_it(path: str) -> None:
    """Below it a link that one container made leads another one anywhere."""
    with pytest.raises(PowerRefused):
        judge(service(volumes=[bind(path)]), "bind:/srv/data")


@pytest.mark.parametrize("folder", ["/run", "/var/run", "/var"])
def test_a_folder_with_the_engines_socket_in_it_needs_the_sockets_grant(folder: str) -> None:
    with pytest.raises(PowerRefused):
        judge(service(volumes=[bind(folder)]), f"bind:{folder}")
    judge(service(volumes=[bind(folder)]), f"bind:{folder}", "bind:/run/docker.sock")


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
    assert {grant.partition(":")[0] for _, grant in ASKED} == {*KEYS, *FLAGS}
    assert load_config(config_table(allow=["bind:/srv"])).apps["shop"].environments["production"].allow == (
        "bind:/srv",
    )


@pytest.mark.case("X01")
@pytest.mark.parametrize(
    ("options", "grants"),
    [
        ({"type": "tmpfs", "o": "rbind", "device": "/"}, ["bind:/"]),
        ({"type": "none", "o": "bind", "device": "etc"}, ["bind:/etc"]),
        ({"type": "none", "o": " RBIND ,ro", "device": "/var/run/docker.sock"}, ["bind:/run/docker.sock"]),
        ({"type": "nfs", "o": "addr=10.0.0.1,bind", "device": ":/x"}, ["bind:/:/x", "mount:nfs"]),
        ({"type": "tmpfs", "device": "/dev/vda"}, ["bind:/dev/vda", "mount:tmpfs"]),
        ({"type": "tmpfs", "device": "../etc"}, ["bind:/etc", "mount:tmpfs"]),
        ({"type": "ext4", "device": "/dev/vda"}, ["bind:/dev/vda", "mount:ext4"]),
        ({"type": "ext4", "device": "docs/../../dev/vda"}, ["bind:/dev/vda", "mount:ext4"]),
        ({"type": "xfs", "device": "dev/vda"}, ["bind:/dev/vda", "mount:xfs"]),
        ({"type": "cifs", "device": "//nas/share"}, ["mount:cifs"]),
        ({"type": "tmpfs", "o": "size=1m,remount", "device": "tmpfs"}, ["mount:tmpfs"]),
        (
            {"type": "overlay", "o": "lowerdir=/,upperdir=/u,workdir=/w", "device": "overlay"},
            ["mount:overlay"],
        ),
        ({"type": "overlay", "o": "lowerdir=/", "device": "/x"}, ["bind:/x", "mount:overlay"]),
        ({"type": "none", "o": "bind,rshared", "device": "/srv"}, ["bind:/srv", "mount:none"]),
        ({"type": "proc", "device": "proc"}, ["mount:proc"]),
        ({"type": "sysfs", "device": "none"}, ["mount:sysfs"]),
        ({"type": "cgroup", "device": "cgroup"}, ["mount:cgroup"]),
        ({"type": "9p", "o": "trans=fd,rfdno=3", "device": "x"}, ["mount:9p"]),
        ({"device": "tmpfs"}, ["bind:/tmpfs", "mount:tmpfs"]),
        ({"o": "size=1m"}, ["mount:none"]),
    ],
)
def test_x1_every_option_of_a_volume_counts(options: dict[str, str], grants: list[str]) -> None:
    with pytest.raises(PowerRefused) as refused:
        judge(volume(**options))
    assert [part for part in str(refused.value).split("asks for ")[1:]] == [
        f"{grant}, volume v " if grant != grants[-1] else f"{grant}: that is power over the server"
        for grant in grants
    ]
    judge(volume(**options), *grants)


@pytest.mark.case("X04")
@pytest.mark.parametrize(
    "rendered",
    [
        service(labels={"deployer.takes-over": "true"}),
        service(labels={"Deployer.hook": "x"}),
        service(labels={" deployer.spec": "x"}),
        service(deploy={"labels": {"deployer.networks": "{}"}}),
        service(build={"labels": {"deployer.service": "deployer-edge"}}),
        {**service(), "networks": {"n": {"labels": {"deployer.x": ""}}}},
        {**service(), "volumes": {"v": {"labels": {"deployer.x": ""}}}},
        {**service(), "configs": {"c": {"labels": {"deployer.x": ""}}}},
    ],
)
def test_x4_labels_of_the_deployer_are_refused_wherever_they_stand(rendered: dict[str, Any]) -> None:
    with pytest.raises(ComposeRejected, match="begins the deployer's own labels"):
        judge(rendered, "label:deployer.")


def test_a_label_is_granted_by_its_prefix() -> None:
    labelled = service(labels={"traefik.enable": "true", "traefik.http.routers.x.rule": "y"})
    judge(labelled, "label:traefik.")
    with pytest.raises(PowerRefused):
        judge(labelled, "label:traefik.http")
