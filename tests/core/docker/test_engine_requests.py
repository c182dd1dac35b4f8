"""The last gate: requests to the engine in the shapes that Compose sends them, each with one thing more."""

from __future__ import annotations

import ast
import copy
import json
from typing import Any

import pytest

from deployer.core.docker.compose_calls import PermittedCall, permit_call
from deployer.core.docker.container_requests import HEIR_LABEL, NETWORKS_LABEL, OWN_LABELS
from deployer.core.docker.engine_requests import (
    RequestedImage,
    permit_container,
    permit_copy,
    permit_name,
    permit_tag,
)
from deployer.core.docker.host_config import _FREE_HOST, _JUDGED_HOST
from deployer.core.docker.network_requests import permit_endpoint
from deployer.core.errors import ComposeRejected, PortTaken, SubnetTaken
from deployer.core.host_ports import HostPort
from deployer.core.image_config import ImageConfig
from deployer.core.images import Image
from deployer.core.permissions.grants import PowerRefused, is_grant
from deployer.core.permissions.project_permissions import Neighbourhood, Permissions, Present
from deployer.core.rollout.desired_state import Service, assemble
from deployer.core.rollout.edge_container import EdgeSettings
from testing.docker.docker_cli import ROOT

IMAGE = "ghcr.io/acme/shop-web@sha256:" + "a" * 64
FILES = "/state/bundles/0123"
AROUND = Neighbourhood(frozenset({"shop", "shop-staging", "shop_old", "billing"}))
PRESENT = Present(
    frozenset({"c0ffee", "shop-db-1"}),
    frozenset({"f" * 64}),
    (HostPort("127.0.0.1", 9000, 9000), HostPort("::1", 9000, 9000)),
    ("10.1.0.0/16", "fd00:1::/64"),
)
# As Compose 2.26 sends it for a service that says nothing.
EMPTY_HOST: dict[str, Any] = {
    "Binds": None,
    "ContainerIDFile": "",
    "LogConfig": {"Type": "", "Config": None},
    "NetworkMode": "shop_default",
    "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
    "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "ConsoleSize": [0, 0],
    "Isolation": "",
    "IOMaximumIOps": 0,
    "MaskedPaths": None,
    "ReadonlyPaths": None,
    "PidsLimit": None,
    "ShmSize": 0,
    "OomScoreAdj": 0,
}


def container(host: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "Hostname": "",
        "Env": ["A=b"],
        "Image": IMAGE,
        "Labels": {"com.docker.compose.project": "shop", "deployer.spec": "0123"},
        "HostConfig": copy.deepcopy(EMPTY_HOST) | (host or {}),
        "NetworkingConfig": {"EndpointsConfig": {"shop_default": {"Aliases": ["web"], "DNSNames": None}}},
    }
    return body | changes


def labelled(**labels: str) -> dict[str, Any]:
    return container(Labels={"com.docker.compose.project": "shop", **labels})


def permissions(*granted: str) -> Permissions:
    return Permissions("shop", frozenset(granted), "apps.shop", AROUND, (FILES,))


def permit(
    body: dict[str, Any], *granted: str, image: ImageConfig | None = None, name: str = "shop-web-1"
) -> None:
    requested = RequestedImage(IMAGE, image or ImageConfig())
    permit_container(name, body, requested, permissions(*granted), PRESENT)


def mount(kind: str, source: str = "", **more: Any) -> dict[str, Any]:
    return {"Mounts": [{"Type": kind, "Source": source, "Target": "/x", **more}]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (container({"Privileged": True}), "privileged"),
    (container({"CapAdd": ["CAP_SYS_ADMIN"]}), "cap_add:SYS_ADMIN"),
    (container({"SecurityOpt": ["apparmor=unconfined"]}), "security_opt:apparmor=unconfined"),
    (container({"MaskedPaths": []}), "security_opt:systempaths=unconfined"),
    (container({"ReadonlyPaths": []}), "security_opt:systempaths=unconfined"),
    (container({"NetworkMode": "host"}), "network_mode:host"),
    (container({"NetworkMode": "bridge"}), "network_mode:bridge"),
    (container({"NetworkMode": "default"}), "network_mode:default"),
    (container({"NetworkMode": "billing_default"}), "network_mode:billing_default"),
    (container({"NetworkMode": "container:other"}), "network_mode:container:other"),
    (container({"PidMode": "host"}), "pid:host"),
    (container({"PidMode": "container:other"}), "pid:container:other"),
    (container({"IpcMode": "host"}), "ipc:host"),
    (container({"UTSMode": "host"}), "uts:host"),
    (container({"UsernsMode": "host"}), "userns_mode:host"),
    (container({"CgroupnsMode": "host"}), "cgroup:host"),
    (container({"CgroupParent": "/x"}), "cgroup_parent:/x"),
    (container({"Runtime": "nvidia"}), "runtime:nvidia"),
    (container({"Annotations": {"a": "b"}}), "annotations:a"),
    (container({"Devices": [{"PathOnHost": "/dev/mem"}]}), "devices:/dev/mem"),
    (container({"DeviceCgroupRules": ["c 1:1 rwm"]}), "device_cgroup_rules:c 1:1 rwm"),
    (container({"DeviceRequests": [{"Count": -1}]}), "gpus"),
    (container({"BlkioDeviceReadBps": [{"Path": "/dev/vda"}]}), "blkio_config"),
    (container({"Ulimits": [{"Name": "memlock", "Soft": -1, "Hard": -1}]}), "ulimits:memlock"),
    (container({"Sysctls": {"kernel.core_pattern": "x"}}), "sysctls:kernel.core_pattern"),
    (container({"ShmSize": 2**40}), "shm_size"),
    (container({"NetworkMode": "shareable"}), "network_mode:shareable"),
    (container({"UTSMode": "private"}), "uts:private"),
    (container({"Binds": ["shop_old_data:/x"]}), "volume:shop_old_data"),
    (container({"NetworkMode": "shop_old_back"}), "network_mode:shop_old_back"),
    (container({"Tmpfs": {"/x": "rw,size=500g"}}), "tmpfs"),
    (
        container({"Tmpfs": {"/x": "size=1g"}, **mount("tmpfs", TmpfsOptions={"SizeBytes": 2**31})}),
        "tmpfs",
    ),
    (
        container(mount("volume", "shop_x", VolumeOptions={"Labels": {"deployer.spec": "x"}})),
        "label:deployer.spec",
    ),
    (container({"StorageOpt": {"x": "y"}}), "storage_opt"),
    (container({"OomScoreAdj": -1000}), "oom_score_adj"),
    (container({"CpuShares": 262144}), "cpu_shares"),
    (container({"BlkioWeight": 1000}), "blkio_config"),
    (container(StopTimeout=31_536_000), "stop_grace_period"),
    (container(Healthcheck={"Test": ["CMD", "true"], "Interval": 1_000_000}), "healthcheck"),
    (container(Healthcheck={"Test": ["CMD", "true"], "StartInterval": 1_000_000}), "healthcheck"),
    (container({"PortBindings": {f"{n}/udp": [{"HostPort": str(n)}] for n in range(1, 130)}}), "count:ports"),
    (container(Env=["A=" + "x" * 2**20]), "request:size"),
    (container({"Ulimits": [{"Name": "sigpending", "Hard": 2**30}]}), "ulimits:sigpending"),
    (container({"LogConfig": {"Type": "", "Config": {"tag": "{{printf 1}}"}}}), "logging:default.tag"),
    (
        container(NetworkingConfig={"EndpointsConfig": {"shop_a/../billing_default": {}}}),
        "network:shop_a/../billing_default",
    ),
    (container({"OomKillDisable": True}), "oom_kill_disable"),
    (container({"CpuRealtimeRuntime": 1}), "cpu_rt"),
    (container({"LogConfig": {"Type": "syslog"}}), "logging:syslog"),
    (container({"Links": ["billing-db-1:db"]}), "external_links:billing-db-1:db"),
    (container({"Links": ["/billing-db-1"]}), "external_links:billing-db-1"),
    (container({"VolumesFrom": ["other:ro"]}), "volumes_from:container:other:ro"),
    (container({"Binds": ["/:/host"]}), "bind:/"),
    (container({"Binds": ["/etc:/x:ro"]}), "bind:/etc"),
    (container({"Binds": [f"{FILES}/a:/a:rw"]}), f"bind:{FILES}/a"),
    (container({"Binds": [f"{FILES}/../4567/a:/a:ro"]}), "bind:/state/bundles/4567/a"),
    (container({"Binds": ["billing_data:/x"]}), "volume:billing_data"),
    (container({"Binds": [f"{FILES}/a:/a:ro,rshared"]}), "propagation:rshared"),
    (container(mount("bind", "/var/run/docker.sock", ReadOnly=True)), "bind:/run/docker.sock"),
    (container(mount("bind", f"{FILES}/a")), f"bind:{FILES}/a"),
    (
        container(mount("bind", f"{FILES}/a", ReadOnly=True, BindOptions={"Propagation": "shared"})),
        "propagation:shared",
    ),
    (
        container(mount("bind", f"{FILES}/a", ReadOnly=True, BindOptions={"New": 1})),
        "request:BindOptions.New",
    ),
    (container(mount("volume", "billing_data")), "volume:billing_data"),
    (container(mount("volume", "e" * 64)), f"volume:{'e' * 64}"),
    (
        container(mount("volume", "shop_x", VolumeOptions={"DriverConfig": {"Options": {"device": "/"}}})),
        "request:VolumeOptions.DriverConfig",
    ),
    (container(mount("tmpfs", TmpfsOptions={"Options": [["x"]]})), "request:TmpfsOptions.Options"),
    (container(mount("cluster", "x")), "mount:cluster"),
    (container(mount("image", "billing:1")), "mount:image"),
    (container(mount("volume", "shop_x", ImageOptions={"Subpath": "x"})), "request:Mount.ImageOptions"),
    (container({"VolumeDriver": "rclone"}), "request:HostConfig.VolumeDriver"),
    (container({"PublishAllPorts": True}), "request:HostConfig.PublishAllPorts"),
    (container({"ContainerIDFile": "/etc/x"}), "request:HostConfig.ContainerIDFile"),
    (container({"Isolation": "hyperv"}), "request:HostConfig.Isolation"),
    (container({"NewThing": {"Enabled": True}}), "request:HostConfig.NewThing"),
    (container(NewThing=[1]), "request:NewThing"),
    (container(Image="haproxy:3.0"), "request:Image=haproxy:3.0"),
    (container(Env=["VIRTUAL_HOST=x"]), "environment:VIRTUAL_HOST"),
    (labelled(**{"traefik.enable": "true"}), "label:traefik."),
    (labelled(**{"deployer.new": "x"}), "label:deployer.new"),
    (labelled(**{NETWORKS_LABEL: json.dumps({"billing_default": {}})}), "network:billing_default"),
    (
        container(Labels={"com.docker.compose.project": "billing"}),
        "label:com.docker.compose.project=billing",
    ),
    (container(Labels={}), "label:com.docker.compose.project=None"),
    (
        container(NetworkingConfig={"EndpointsConfig": {"billing_default": None}}),
        "network:billing_default",
    ),
    (
        container(NetworkingConfig={"EndpointsConfig": {"shop_x": {"DriverOpts": {"x": "y"}}}}),
        "driver_opts:x",
    ),
    (
        container(NetworkingConfig={"EndpointsConfig": {"shop_x": {"Links": ["pg:db"]}}}),
        "external_links:pg:db",
    ),
    (container(NetworkingConfig={"EndpointsConfig": {"shop_x": {"New": "y"}}}), "request:Endpoint.New"),
    (container(NetworkingConfig={"New": {"x": "y"}}), "request:NetworkingConfig.New"),
    (
        container(NetworkingConfig={"EndpointsConfig": {"shop_x": {"IPAMConfig": {"New": "y"}}}}),
        "request:IPAMConfig.New",
    ),
    (container({"LogConfig": {"Type": "", "New": 1}}), "request:LogConfig.New"),
    (container({"RestartPolicy": {"Name": "always", "New": 1}}), "request:RestartPolicy.New"),
    (
        container({"PortBindings": {"80/tcp": [{"HostPort": "8080", "New": 1}]}}),
        "request:PortBinding.New",
    ),
    (container({"Ulimits": [{"Name": "core", "Hard": 1, "New": 1}]}), "request:Ulimit.New"),
    (container(Healthcheck={"Test": ["NONE"], "New": 1}), "request:Healthcheck.New"),
    (container(ExposedPorts={"80/tcp": {"New": 1}}), "request:Nothing.New"),
    (container(Volumes={"/x": {"New": 1}}), "request:Nothing.New"),
    (labelled(**{NETWORKS_LABEL: json.dumps({"shop_x": {"New": 1}})}), "request:Endpoint.New"),
    (labelled(**{NETWORKS_LABEL: json.dumps({"shop_x": {"DriverOpts": {"x": "y"}}})}), "driver_opts:x"),
    (labelled(**{NETWORKS_LABEL: json.dumps({"shop_x": {"Links": ["pg:db"]}})}), "external_links:pg:db"),
    # Go takes them for the field that is spelled with other capitals.
    (container({"maskedpaths": []}), "request:HostConfig.maskedpaths"),
    (container({"Ma\u017fkedPaths": []}), "request:HostConfig.Ma\u017fkedPaths"),
    (container({"privileged": True}), "request:HostConfig.privileged"),
    (container(hostconfig={}), "request:hostconfig"),
]
NESTED: list[tuple[dict[str, Any], str]] = [
    (container({"Devices": [{"PathOnHost": "/dev/x", "New": 1}]}), "request:Device.New"),
    (container({"DeviceRequests": [{"Count": 1, "New": 1}]}), "request:DeviceRequest.New"),
    (container({"BlkioDeviceReadBps": [{"Path": "/x", "New": 1}]}), "request:BlkioDevice.New"),
    (container({"BlkioWeightDevice": [{"Path": "/x", "New": 1}]}), "request:BlkioDevice.New"),
    (container(mount("bind", "/x", BindOptions={"New": 1})), "request:BindOptions.New"),
    (container({"Mounts": 1}), "request:Mount"),
    (container({"Mounts": ["x"]}), "request:Mount"),
    (container(Healthcheck="x"), "request:Healthcheck"),
]


@pytest.mark.case("X02")
@pytest.mark.parametrize(("body", "grant"), NESTED, ids=[grant for _, grant in NESTED])
def test_x2_every_object_in_a_request_has_named_fields(body: dict[str, Any], grant: str) -> None:
    with pytest.raises(PowerRefused, match=f"asks for {grant}"):
        permit(body, "devices:/dev/x", "gpus", "blkio_config", "bind:/x")


BINDINGS: list[tuple[str, str, str]] = [
    ("9000/tcp", "127.0.0.1", "9000"),
    ("80/tcp", "", "9000"),
    ("80", "0.0.0.0", "09000"),
    ("80/tcp", "::", "8990-9010"),
    ("80/tcp", "::1", "9000"),
]


@pytest.mark.parametrize(("inside", "address", "port"), BINDINGS)
def test_no_container_has_the_port_at_which_the_deployer_listens(
    inside: str, address: str, port: str
) -> None:
    host = {"PortBindings": {inside: [{"HostIp": address, "HostPort": port}]}}
    with pytest.raises(PortTaken, match="where the deployer itself listens"):
        permit(container(host))


@pytest.mark.parametrize(
    ("inside", "address", "port"),
    [
        *(("80/udp", "127.0.0.1", "9000"), ("80/tcp", "127.0.0.2", "9000"), ("80/tcp", "", "")),
        *(("80/tcp", "", "0"), ("80", "::1", "9001-9002"), ("80/sctp", "0.0.0.0", "9000")),
    ],
)
def test_other_ports_are_free(inside: str, address: str, port: str) -> None:
    permit(container({"PortBindings": {inside: [{"HostIp": address, "HostPort": port}], "81/tcp": None}}))


@pytest.mark.parametrize(
    ("inside", "address", "port"),
    [
        *(("80/TCP", "", "9000"), ("80/tcp/x", "", "1"), ("x", "", "1"), ("80/tcp", "localhost", "9000")),
        *(("80/tcp", "::ffff:127.0.0.1", "9000"), ("80/tcp", "[::1]", "9000"), ("80/tcp", "", " 9000")),
        *(("80/tcp", "", "9000-"), ("80/tcp", "", "\uff19\uff10\uff10\uff10")),
    ],
)
def test_a_binding_that_can_be_read_in_two_ways_is_refused(inside: str, address: str, port: str) -> None:
    with pytest.raises(ComposeRejected, match="which is not a valid port"):
        permit(container({"PortBindings": {inside: [{"HostIp": address, "HostPort": port}]}}))


@pytest.mark.case("X02")
@pytest.mark.parametrize(("body", "grant"), REFUSED, ids=[grant for _, grant in REFUSED])
def test_a_request_is_refused_until_its_power_is_granted(body: dict[str, Any], grant: str) -> None:
    with pytest.raises(PowerRefused) as refused:
        permit(body)
    assert f"container shop-web-1 asks for {grant}" in str(refused.value)
    assert "[apps.shop] allow" in refused.value.hint and f'"{grant}"' in refused.value.hint
    assert is_grant(grant), "the line of the hint is a setting"
    permit(body, grant)


@pytest.mark.parametrize(
    "body",
    [
        container(),
        container({"NetworkMode": "none", "PidMode": "container:c0ffee", "IpcMode": "shareable"}),
        container({"NetworkMode": "container:c0ffee", "VolumesFrom": ["c0ffee:ro"]}),
        container({"Links": ["shop-db-1:db"], "Runtime": "runc", "CapAdd": ["NET_BIND_SERVICE"]}),
        container({"Binds": [f"{FILES}/a:/a:ro,z", "shop_data:/data:nocopy"]}),
        container(mount("bind", f"{FILES}/a", ReadOnly=True, BindOptions={"Propagation": "rprivate"})),
        container({"Binds": ["/etc/localtime:/etc/localtime:ro"]}),
        container(mount("volume", "shop_data", VolumeOptions={"Subpath": "x", "NoCopy": True})),
        container(mount("volume")),
        container(mount("volume", "f" * 64)),
        container(mount("tmpfs", TmpfsOptions={"SizeBytes": 1})),
        container({"Isolation": "default", "SecurityOpt": ["no-new-privileges:true"]}),
        labelled(**{NETWORKS_LABEL: json.dumps({"shop_x": {}}), HEIR_LABEL: "true"}),
        labelled(**{NETWORKS_LABEL: "no json"}),
        labelled(**{NETWORKS_LABEL: "[1]"}),
        container(NetworkingConfig={"EndpointsConfig": None}),
        container(NetworkingConfig=None),
    ],
)
def test_a_request_that_stays_in_its_container_passes(body: dict[str, Any]) -> None:
    permit(body, image=ImageConfig(labels={"deployer.image.service": "web", "maintainer": "x"}))


def test_networks_of_others_are_granted_by_either_word() -> None:
    body = container({"NetworkMode": "proxy"}, NetworkingConfig={"EndpointsConfig": {"proxy": {}}})
    permit(body, "network:proxy")
    permit(body, "network_mode:proxy")


@pytest.mark.case("X04", "X13")
@pytest.mark.parametrize(
    "image",
    [
        ImageConfig(labels={NETWORKS_LABEL: '{"billing_default": {}}'}),
        ImageConfig(labels={label: "x" for label in OWN_LABELS}),
        ImageConfig(labels={"Deployer.hook": "x"}),
        ImageConfig(labels={"traefik.http.routers.x.rule": "Host(`billing`)"}),
        ImageConfig(environment=("VIRTUAL_HOST=billing.example.com",)),
    ],
)
def test_x4_x13_labels_and_variables_of_the_image_count_as_well(image: ImageConfig) -> None:
    with pytest.raises(PowerRefused):
        permit(container(), image=image)


@pytest.mark.case("X09")
@pytest.mark.parametrize(
    "name",
    [
        *("billing-web-2", "billing_web_1", "shop-staging-web-1", "shop-staging-web-pre-deploy", "deployer"),
        *("billing", "billing-deployer-edge-1", "billing.web.next", "shop_old-web-1"),
    ],
)
def test_x9_a_name_of_another_projects_containers_is_refused(name: str) -> None:
    with pytest.raises(PowerRefused, match=f"container_name:{name}"):
        permit(container(), name=name)
    permit(container(), f"container_name:{name}", name=name)


@pytest.mark.parametrize(
    "name",
    [
        *("shop-web-1", "shop-web", "x-shop-staging", "bill", "shop-stag-1", "shop-staging-1"),
        *("shop-staging", "billing-web", "shop.api.next", "api.v2"),
    ],
)
def test_every_other_name_is_free(name: str) -> None:
    permit(container(), name=name)


@pytest.mark.parametrize("last", ["1", "12", "pre-deploy", "preflight"])
def test_the_default_names_of_a_service_are_the_projects_own(last: str) -> None:
    """Of service `staging-web`, beside a project `shop-staging`."""
    permit(labelled(**{"com.docker.compose.service": "staging-web"}), name=f"shop-staging-web-{last}")
    with pytest.raises(PowerRefused):
        permit(labelled(**{"com.docker.compose.service": "staging"}), name=f"shop-staging-web-{last}")
    edge = {"com.docker.compose.service": "web", "deployer.service": "deployer-edge"}
    permit(labelled(**edge), name="shop-deployer-edge-1")


def test_a_project_whose_services_are_known_needs_their_names_alone() -> None:
    seen = permissions().beside({"billing": frozenset({"web"}), "shop": frozenset({"old"})})
    for name in ("billing-api-1", "billing-web-api-1"):
        permit_container(name, container(), RequestedImage(IMAGE), seen)
    with pytest.raises(PowerRefused):
        permit_container("billing-web-1", container(), RequestedImage(IMAGE), seen)


@pytest.mark.case("X09")
def test_x9_data_of_a_project_that_only_the_engine_knows_is_not_of_a_shorter_name() -> None:
    binds = container({"Binds": ["shop_legacy_data:/x"], "NetworkMode": "shop_legacy_default"})
    permit(binds)
    seen = permissions().beside({"shop_legacy": frozenset({"web"})})
    with pytest.raises(PowerRefused) as refused:
        permit_container("shop-web-1", binds, RequestedImage(IMAGE), seen)
    assert "volume:shop_legacy_data" in str(refused.value)
    assert "network_mode:shop_legacy_default" in str(refused.value)


def test_a_seccomp_profile_is_granted_by_the_name_of_its_file() -> None:
    body = container({"SecurityOpt": ['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}']})
    with pytest.raises(PowerRefused):
        permit(body, "security_opt:apparmor=unconfined")
    permit(body, "security_opt:seccomp=./profile.json")


def test_every_field_of_a_host_config_is_free_or_judged_and_none_is_both() -> None:
    assert not _FREE_HOST & _JUDGED_HOST
    assert (
        not set(EMPTY_HOST)
        - _FREE_HOST
        - _JUDGED_HOST
        - {
            *("ContainerIDFile", "AutoRemove", "VolumeDriver", "Isolation", "IOMaximumIOps"),
        }
    )


def test_an_archive_says_where_it_goes_and_nothing_else() -> None:
    requested = RequestedImage(IMAGE)
    permit_container("shop-web-1", container(), requested, permissions(), PRESENT, [("path=%2F", b"x")])
    with pytest.raises(PowerRefused, match=r"request:archive\.follow"):
        permit_container(
            "shop-web-1", container(), requested, permissions(), PRESENT, [("path=%2F&follow=1", b"")]
        )


COPY: dict[str, Any] = {"NetworkMode": "none", "CapAdd": ["CHOWN"]}


def copied(host: dict[str, Any], *granted: str, **changes: Any) -> Any:
    body = container(NetworkingConfig=None, HostConfig=host) | changes
    return permit_copy("shop-web-preflight", body, RequestedImage(IMAGE), permissions(*granted))


def test_a_copy_has_files_of_its_release_and_nothing_of_the_host() -> None:
    mounts = [
        {"Type": "bind", "Source": f"{FILES}/a", "Target": "/a", "ReadOnly": True},
        {"Type": "bind", "Source": "/etc/localtime", "Target": "/etc/localtime", "ReadOnly": True},
        {"Type": "volume", "Target": "/data"},
    ]
    host = COPY | {"Mounts": mounts}
    assert copied(host).body["HostConfig"] is host


@pytest.mark.parametrize(
    "host",
    [
        {"NetworkMode": "host"},
        {},
        *({**COPY, key: value} for key, value in (
            ("Privileged", True), ("Binds", ["/:/h"]), ("UsernsMode", "host"), ("UTSMode", "host"),
            ("PidMode", "host"), ("IpcMode", "host"), ("CgroupnsMode", "host"), ("CgroupParent", "/x"),
            ("Devices", [{"PathOnHost": "/dev/mem"}]), ("DeviceRequests", [{"Count": -1}]),
            ("DeviceCgroupRules", ["c 1:1 rwm"]), ("VolumesFrom", ["c0ffee"]), ("Links", ["shop-db-1:db"]),
            ("PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
            ("Mounts", [{"Type": "bind", "Source": "/srv/x", "Target": "/x", "ReadOnly": True}]),
        )),
    ],
)  # fmt: skip
def test_a_copy_has_no_namespace_device_or_mount_of_the_host_whatever_is_granted(
    host: dict[str, Any],
) -> None:
    granted = ("privileged", "bind:/", "bind:/srv/x", "userns_mode:host", "uts:host", "pid:host", "gpus")
    with pytest.raises(PowerRefused, match="is a copy for a test, which must not have"):
        copied(host, *granted)


def test_a_copy_on_a_network_is_refused() -> None:
    with pytest.raises(PowerRefused, match="must not have NetworkMode"):
        copied(COPY, NetworkingConfig={"EndpointsConfig": {"shop_default": {}}})


@pytest.mark.case("X02")
@pytest.mark.parametrize(
    ("host", "grant"),
    [
        ({"CapAdd": ["ALL"]}, "cap_add:ALL"),
        ({"CapAdd": ["SYS_ADMIN"]}, "cap_add:SYS_ADMIN"),
        ({"Runtime": "runsc"}, "runtime:runsc"),
        ({"SecurityOpt": ["apparmor=unconfined"]}, "security_opt:apparmor=unconfined"),
        ({"Mounts": [{"Type": "volume", "Source": "billing_data", "ReadOnly": True}]}, "volume:billing_data"),
    ],
)
def test_x2_a_copy_is_judged_by_the_grants_of_today(host: dict[str, Any], grant: str) -> None:
    with pytest.raises(PowerRefused, match=f"asks for {grant}"):
        copied(COPY | host)
    copied(COPY | host, grant)


def test_only_the_gate_makes_what_the_engine_takes() -> None:
    makers: set[tuple[str, str]] = set()
    for path in (ROOT / "deployer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].startswith(
                "Permitted"
            ):
                makers.add((ast.unparse(node.func), path.name))
    assert makers == {
        *((f"Permitted{kind}", "engine_requests.py") for kind in ("Container", "Name", "Tag")),
        *((f"Permitted{kind}", "network_requests.py") for kind in ("Network", "Endpoint")),
        ("PermittedCall", "compose_calls.py"),
    }


# --- Compose's own calls


def call(path: str, *granted: str, method: str = "POST", **body: Any) -> PermittedCall:
    text = json.dumps(body).encode()
    return permit_call(method, f"/v1.45{path}", text, permissions(*granted), lambda: PRESENT)


def pool(**fields: Any) -> dict[str, Any]:
    return {"Name": "shop_x", "IPAM": {"Config": [{"Subnet": "172.28.0.0/16", **fields}]}}


NETWORK: dict[str, Any] = {
    "CheckDuplicate": True,
    "Driver": "",
    "Scope": "",
    "IPAM": None,
    "ConfigFrom": None,
}
MADE: list[tuple[str, dict[str, Any], str]] = [
    ("network", {"Name": "billing_default"}, "network:billing_default"),
    ("network", {"Name": "shop_x", "Driver": "macvlan"}, "driver:macvlan"),
    ("network", {"Name": "shop_x", "Options": {"com.docker.network.bridge.name": "br0"}}, "driver_opts:"),
    ("network", {"Name": "shop_x", "IPAM": {"Driver": "x"}}, "ipam:x"),
    ("network", {"Name": "shop_x", "IPAM": {"Config": [{"Subnet": "8.8.8.0/24"}]}}, "subnet:8.8.8.0/24"),
    ("network", {"Name": "shop_x", "IPAM": {"Config": [{"IPRange": "8.8.8.0/24"}]}}, "subnet:8.8.8.0/24"),
    ("network", {"Name": "shop_x", "IPAM": {"config": [{"Subnet": "8.8.8.0/24"}]}}, "request:IPAM.config"),
    ("network", {"Name": "shop_x", "IPAM": {"Foo": 1}}, "request:IPAM.Foo"),
    ("network", {"Name": "shop_x", "IPAM": [1]}, "request:IPAM"),
    ("network", {"Name": "shop_x", "ipam": {"Config": [{"Subnet": "8.8.8.0/24"}]}}, "request:Network.ipam"),
    ("network", {"Name": "shop_x", "IPAM": {"Config": [None]}}, "request:Pool"),
    ("network", pool(Foo=1), "request:Pool.Foo"),
    ("network", pool(subnet="8.8.8.0/24"), "request:Pool.subnet"),
    ("network", pool(Gateway="8.8.8.8"), "subnet:8.8.8.8"),
    ("network", pool(Gateway="fd00::1"), "subnet:fd00::1"),
    ("network", pool(IPRange="172.29.0.0/24"), "subnet:172.29.0.0/24"),
    ("network", pool(AuxiliaryAddresses={"a": "172.28.0.9", "b": "172.29.0.9"}), "subnet:172.29.0.9"),
    ("network", pool(AuxiliaryAddresses={"a": "no address"}), "subnet:no address"),
    ("network", pool(Subnet="", Gateway="172.28.0.1"), "subnet:172.28.0.1"),
    ("network", {"Name": "shop_x", "Scope": "swarm"}, "request:Network.Scope=swarm"),
    ("network", {"Name": "shop_x", "Ingress": True}, "request:Network.Ingress"),
    ("network", {"Name": "shop_x", "ConfigFrom": {"Network": "x"}}, "request:Network.ConfigFrom"),
    ("network", {"Name": "shop_x", "Labels": {"com.docker.compose.project": "b"}}, "label:com.docker"),
    ("network", {"Name": "shop_x", "Labels": {"deployer.x": "b"}}, "label:deployer.x"),
    ("volume", {"Name": "billing_data"}, "volume:billing_data"),
    ("volume", {"Name": ""}, "volume:"),
    ("volume", {"Name": "shop_x", "Driver": "rclone"}, "driver:rclone"),
    ("volume", {"Name": "shop_x", "DriverOpts": {"o": "bind", "device": "/"}}, "bind:/"),
    ("volume", {"Name": "shop_x", "ClusterVolumeSpec": {"Group": "x"}}, "request:Volume.ClusterVolumeSpec"),
]


@pytest.mark.case("X01", "X06")
@pytest.mark.parametrize(("kind", "body", "grant"), MADE, ids=[grant for _, _, grant in MADE])
def test_x1_x6_networks_and_volumes_are_judged_as_they_are_made(
    kind: str, body: dict[str, Any], grant: str
) -> None:
    with pytest.raises(PowerRefused, match=f"{kind} {body['Name']} asks for {grant}"):
        whole: dict[str, Any] = (NETWORK if kind == "network" else {}) | body
        call(f"/{kind}s/create", **whole)


def test_networks_and_volumes_of_the_project_are_made() -> None:
    ours: dict[str, Any] = NETWORK | {"Labels": {"com.docker.compose.project": "shop"}}
    call("/networks/create", **ours, Name="shop_default")
    call("/networks/create", Name="shop_x", Options={"com.docker.network.driver.mtu": "1400"})
    call("/volumes/create", Name="shop_data")
    call("/volumes/create", "volume:fast", Name="fast", DriverOpts={"type": "tmpfs", "device": "tmpfs"})
    call("/networks/create", "network:proxy", Name="proxy")


def test_a_pool_with_addresses_of_its_own_is_made() -> None:
    own = pool(IPRange="172.28.5.0/24", Gateway="172.28.5.254", AuxiliaryAddresses={"host": "172.28.1.5"})
    assert json.loads(call("/networks/create", **own).body) == own
    call("/networks/create", Name="shop_x", IPAM={"Config": [{"Subnet": "fd00:9::/64"}]})


@pytest.mark.parametrize("subnet", ["10.1.2.0/24", "fd00:1::/64"])
def test_no_network_takes_addresses_that_the_host_reaches_otherwise(subnet: str) -> None:
    with pytest.raises(SubnetTaken, match=f"network shop_x has {subnet}, and the server reaches"):
        call("/networks/create", **pool(Subnet=subnet))
    with pytest.raises(SubnetTaken):  # a grant is for addresses, not for those that others use
        call("/networks/create", "subnet:10.0.0.0/8", **pool(Subnet="10.0.0.0/8"))


def test_a_subnet_that_nobody_can_read_is_refused_whatever_is_granted() -> None:
    with pytest.raises(ComposeRejected, match="network shop_x"):
        call("/networks/create", "subnet:x", **pool(Subnet="x"))


@pytest.mark.case("X02")
def test_x2_a_call_is_passed_on_as_it_was_judged() -> None:
    """The engine would merge the two objects, and Python takes the second."""
    twice = (
        b'{"Name": "shop_x", "IPAM": {"Driver": "evil"}, "IPAM": {"Config": [{"Subnet": "172.28.0.0/16"}]}}'
    )
    passed = permit_call("POST", "/networks/create", twice, permissions())
    assert b"evil" not in passed.body and json.loads(passed.body) == pool()
    looked = permit_call("GET", "/v1.45/networks?filters=%7B%22name%22%3A%7B%7D%7D", b"x", permissions())
    assert looked == PermittedCall("GET", "/v1.45/networks?filters=%7B%22name%22%3A%7B%7D%7D")


@pytest.mark.parametrize(
    "path",
    ["/_ping", "/version", "/info", "/networks?filters=y", "/networks/shop_x", "/volumes/x", "/volumes"],
)
def test_calls_that_look_pass(path: str) -> None:
    call(path, method="GET")
    permit_call("HEAD", "/_ping", b"", permissions())


def test_a_look_with_an_unknown_query_is_refused() -> None:
    with pytest.raises(ComposeRejected, match=r"/networks\?x, which the deployer does not pass on"):
        call("/networks?filters=y&x=y", method="GET")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/x/start"),
        ("POST", "/containers/x/exec"),
        ("DELETE", "/networks/shop_x"),
        ("DELETE", "/containers/x"),
        ("GET", "/containers/x/archive"),
        ("GET", "/containers/billing-db-1/json"),
        ("GET", "/networks/..%2Fsecrets"),
        ("GET", "/networks/%2e%2e"),
        ("POST", "/networks/create?x=y"),
        ("GET", "x"),
        ("GET", "/secrets"),
        ("POST", "/build"),
        ("POST", "/images/create"),
        ("POST", "/swarm/init"),
        ("POST", "/networks/create/../../containers/create"),
        ("PUT", "/volumes/create"),
        ("POST", "//volumes/create"),
    ],
)
def test_every_other_call_is_refused_by_name(method: str, path: str) -> None:
    with pytest.raises(ComposeRejected, match="which the deployer does not pass on"):
        call(path, method=method)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ComposeRejected, match="no JSON object"):
        permit_call("POST", "/volumes/create", body, permissions())


def service(image: str) -> Service:
    images = {"web": Image(image, "sha256:" + "a" * 64)}
    edge = EdgeSettings("haproxy", "/edge", "0:0")
    (made,) = assemble({"services": {"web": {"image": "x"}}}, images, "shop", edge).services
    return made


@pytest.mark.parametrize(
    ("name", "image", "may"),
    [
        ("shop-web", "ghcr.io/acme/shop-web", True),
        ("ghcr.io/acme/shop-web:2", "ghcr.io/acme/shop-web", True),
        ("postgres:16", "docker.io/library/postgres", True),
        ("docker.io/library/postgres:16", "ghcr.io/acme/postgres", False),
        ("postgres:16", "ghcr.io/acme/postgres", False),
        ("ghcr.io/acme/billing-web", "ghcr.io/acme/shop-web", False),
        ("shop-web:2", "ghcr.io/acme/shop-web", False),
        ("shop-api", "ghcr.io/acme/shop-web", False),
        ("billing-web", "docker.io/library/billing-web", False),
        ("docker.io/library/billing-web", "docker.io/library/billing-web", False),
        ("shop-staging-web", "docker.io/library/shop-staging-web", False),
    ],
)
def test_an_image_gets_local_names_of_its_own_repository_alone(name: str, image: str, may: bool) -> None:
    found = permit_tag(name, service(image), permissions())
    assert (found is not None) is may
    assert found is None or (found.image.repository == image and found.tag in ("latest", "2", "16"))


@pytest.mark.case("X09")
def test_x9_a_container_is_renamed_to_no_name_of_another_project() -> None:
    assert permit_name("web", permissions()).name == "web"
    with pytest.raises(PowerRefused, match="container_name:billing-web-2"):
        permit_name("billing-web-2", permissions())


@pytest.mark.case("X04")
def test_x4_a_container_is_connected_to_networks_of_its_project_alone() -> None:
    settings = {"Aliases": ["web"], "Links": ["shop-db-1:db"], "IPAMConfig": {"IPv4Address": "172.28.0.9"}}
    assert permit_endpoint("shop_x", settings, permissions(), PRESENT).settings is settings
    for network, asked, grant in (
        ("billing_default", {}, "network:billing_default"),
        ("shop_x", {"DriverOpts": {"x": "y"}}, "driver_opts:x"),
        ("shop_x", {"New": 1}, "request:Endpoint.New"),
        ("shop_x", {"Links": ["pg:db"]}, "external_links:pg:db"),
    ):
        with pytest.raises(PowerRefused, match=grant):
            permit_endpoint(network, asked, permissions(), PRESENT)
        permit_endpoint(network, asked, permissions(grant), PRESENT)


@pytest.mark.case("X07")
@pytest.mark.parametrize(
    ("options", "body", "grant"),
    [
        ({"labels": "a,big"}, labelled(big="x" * 2_000), "labels"),
        ({"labels-regex": ".*"}, labelled(big="x" * 2_000), "labels-regex"),
        ({"env": "BIG"}, container(Env=["BIG=" + "x" * 2_000]), "env"),
        ({"env-regex": "B"}, container(Env=["BIG=" + "x" * 2_000]), "env-regex"),
        ({"tag": "x" * 2_000}, container(), "tag"),
    ],
)
def test_x7_what_goes_into_every_line_of_a_log_is_short(
    options: dict[str, str], body: dict[str, Any], grant: str
) -> None:
    body = copy.deepcopy(body)
    body["HostConfig"]["LogConfig"] = {"Type": "json-file", "Config": options}
    with pytest.raises(PowerRefused, match=f"logging:json-file.{grant}"):
        permit(body)
    permit(body, f"logging:json-file.{grant}")
    body |= {"Labels": {"com.docker.compose.project": "shop", "com.docker.compose.x": "x" * 2_000}}
    permit(body | {"Env": ["BIG=1"]}, *(["logging:json-file.tag"] if grant == "tag" else []))


@pytest.mark.parametrize(
    ("own", "inherited", "is_refused"),
    [
        ({}, {"Test": ["CMD", "true"], "Interval": 1_000_000}, True),
        ({"Interval": 10**9}, {"Test": ["CMD", "true"], "Interval": 1_000_000}, False),
        ({"Test": ["NONE"]}, {"Test": ["CMD", "true"], "Interval": 1_000_000}, False),
        ({"Test": ["NONE"], "Interval": 1_000_000}, {}, False),
        ({"Test": ["CMD", "true"], "Interval": 500_000_000, "StartInterval": 100_000_000}, {}, False),
        ({}, {}, False),
    ],
)
def test_the_pace_of_the_images_check_counts_where_the_file_has_none(
    own: dict[str, Any], inherited: dict[str, Any], is_refused: bool
) -> None:
    image, body = ImageConfig(healthcheck=inherited), container(Healthcheck=own)
    if is_refused:
        with pytest.raises(PowerRefused, match="asks for healthcheck"):
            permit(body, image=image)
    permit(body, *(["healthcheck"] if is_refused else []), image=image)
