"""The last gate on a real engine: real Compose makes requests of hostile files, with the judgement of the
rendered model left out, and a file of root on the host stays unread and unwritten.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker.compose_cli import Compose
from deployer.adapters.docker.engine import Engine
from deployer.adapters.docker.target import DockerTarget
from deployer.adapters.system.files import make_folder
from deployer.core.compose.rendering import FOLDER, MOUNTED
from deployer.core.errors import ComposeRejected, DeployerError, PortTaken, SubnetTaken
from deployer.core.images import Image
from deployer.core.model import Bundle, Replica
from deployer.core.permissions.grants import PowerRefused
from deployer.core.permissions.project_permissions import Neighbourhood, Permissions
from deployer.core.rollout.desired_state import EDGE, DesiredState, assemble
from testing.docker.docker_cli import docker, registry, remove_containers, wait_for

pytestmark = pytest.mark.engine
CANARY = "canary-of-root-7d1e"
BASE = "nginx:alpine"


class Host:
    """One state folder on the engine, and a file of root outside of it."""

    def __init__(self, folder: Path, image: Image, project: str) -> None:
        self.project = project
        self.image = image
        self.state = folder / "state"
        make_folder(self.state)
        self.canary = folder / "root-only" / "canary"
        self.canary.parent.mkdir(mode=0o700)
        self.canary.write_text(f"{CANARY}\n")
        self.compose = Compose(self.state)
        self.target = DockerTarget(Engine(), self.compose, self.state, "haproxy:3.0-alpine")

    def assemble(self, text: str, *granted: str, **files: str) -> tuple[DesiredState, dict[str, Any]]:
        """As a deploy does it, without the judgement of the rendered model."""
        bundle = Bundle("compose.yaml", {"compose.yaml": text, **files})
        model = dict(self.target.render(self.project, bundle, {}))
        images = {name: self.image for name in model["services"]}
        edge = self.target.edge_settings(self.project)
        configs = {name: self.target.image_config(self.image) for name in images}
        application = assemble(model, images, self.project, edge, {n: c for n, c in configs.items() if c})
        around = Neighbourhood(frozenset({self.project, "billing"}))
        permissions = Permissions(
            self.project, frozenset(granted), "apps.shop", around, readable=(model[MOUNTED],)
        )
        return dataclasses.replace(application, permissions=permissions), model

    def create(self, text: str, *granted: str, **files: str) -> tuple[Replica, ...]:
        application, _ = self.assemble(text, *granted, **files)
        counts = {service.name: 1 for service in application.services if service.image}
        self.target.create(application, counts)
        return self.target.observe(self.project).replicas

    def traces(self) -> list[str]:
        """Everything of the project that the engine has."""
        label = f"label=com.docker.compose.project={self.project}"
        kinds = (("ps", "-a"), ("volume", "ls"))
        return [line for kind in kinds for line in docker(*kind, "-q", "--filter", label).split()]


@pytest.fixture(scope="module")
def image() -> Image:
    name = f"{registry()}/gate-{uuid.uuid4().hex[:8]}/web"
    docker("tag", BASE, f"{name}:1")
    docker("push", "-q", f"{name}:1")
    docker("pull", "-q", f"{name}:1")
    found = docker("image", "inspect", "--format", "{{index .RepoDigests}}", f"{name}:1")
    digest = next(part for part in found.strip("[]\n ").split() if part.startswith(name)).partition("@")[2]
    return Image(name, digest)


@pytest.fixture
def host(tmp_path: Path, image: Image) -> Iterator[Host]:
    project = f"gate-{uuid.uuid4().hex[:8]}"
    made = Host(tmp_path, image, project)
    yield made
    remove_containers(project)
    label = f"label=com.docker.compose.project={project}"
    if volumes := docker("volume", "ls", "-q", "--filter", label).split():
        docker("volume", "rm", "-f", *volumes)
    assert made.canary.read_text() == f"{CANARY}\n", "the file of root is as it was"


def web(lines: str, top: str = "") -> str:
    return f"services:\n  web:\n    image: {BASE}\n    command: [sleep, '600']\n{lines}{top}"


def mounted(volume: str) -> str:
    return web("    volumes: ['host:/host']\n", f"volumes:\n  host: {volume}\n")


def pool(line: str) -> str:
    return web(
        "    networks: [n]\n",
        f"networks: {{n: {{ipam: {{config: [{{subnet: 172.31.249.0/24, {line}}}]}}}}}}\n",
    )


HOSTILE: dict[str, str] = {
    "x1": mounted("{driver_opts: {type: tmpfs, o: rbind, device: /}}"),
    "x1-none": mounted("{driver_opts: {type: none, o: bind, device: /etc}}"),
    "x1-relative": mounted("{driver_opts: {type: none, o: bind, device: etc}}"),
    "x1-overlay": mounted("{driver_opts: {type: overlay, device: overlay, o: 'lowerdir=/'}}"),
    "x1-proc": mounted("{driver_opts: {type: proc, device: proc}}"),
    "x1-name": mounted("{name: billing_data}"),
    "bind": web("    volumes: ['/:/host']\n"),
    "bind-long": web("    volumes: [{type: bind, source: /etc, target: /x, read_only: true}]\n"),
    "socket": web("    volumes: ['/var/run/docker.sock:/x']\n"),
    "state": web("    volumes: ['../../key:/x']\n"),
    "config": web("    configs: [c]\n", "configs: {c: {file: /etc/shadow}}\n"),
    "secret": web("    secrets: [c]\n", "secrets: {c: {file: ../../key}}\n"),
    "privileged": web("    privileged: true\n"),
    "capability": web("    cap_add: [SYS_ADMIN]\n"),
    "all": web("    cap_add: [ALL]\n"),
    "pid": web("    pid: host\n"),
    "ipc": web("    ipc: host\n"),
    "uts": web("    uts: host\n"),
    "userns": web("    userns_mode: host\n"),
    "cgroup": web("    cgroup: host\n"),
    "network": web("    network_mode: host\n"),
    "network-bridge": web("    network_mode: bridge\n"),
    "network-name": web("    networks: [n]\n", "networks: {n: {name: billing_default}}\n"),
    "device-node": web("    devices: ['/dev/null:/dev/x']\n"),
    "device-rule": web("    device_cgroup_rules: ['c 1:1 rwm']\n"),
    "gpu": web("    deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}\n"),
    "apparmor": web("    security_opt: ['apparmor=unconfined']\n"),
    "paths": web("    security_opt: ['systempaths=unconfined']\n"),
    "runtime": web("    runtime: runsc\n"),
    "cgroup-parent": web("    cgroup_parent: /system.slice\n"),
    "annotations": web("    annotations: {run.oci.hooks: x}\n"),
    "syslog": web("    logging: {driver: syslog, options: {syslog-address: 'tcp://127.0.0.1:6379'}}\n"),
    "log-options": web("    logging: {options: {syslog-address: 'unixgram:///dev/log'}}\n"),
    "log-template": web("    logging: {options: {tag: '{{pad \"x\" 9999 0}}'}}\n"),
    "log-buffer": web("    logging: {options: {mode: non-blocking, max-buffer-size: 900m}}\n"),
    "log-files": web("    logging: {driver: json-file, options: {max-size: 1k, max-file: '2000000'}}\n"),
    "log-labels": web(
        f"    labels: {{big: {'x' * 2_000}}}\n    logging: {{driver: json-file, options: {{labels: big}}}}\n"
    ),
    "check": web("    healthcheck: {test: [CMD, 'true'], interval: 1ms}\n"),
    "ports": web("    ports: ['42000-42200:2000-2200/udp']\n"),
    "words": web(f"    labels: {{big: {'x' * 1_100_000}}}\n"),
    "tmpfs": web("    tmpfs: ['/x:size=1g', '/y:size=1536m']\n"),
    "tmpfs-volume": mounted("{driver_opts: {type: tmpfs, device: tmpfs, o: 'size=900g'}}"),
    "tmpfs-pages": mounted("{driver_opts: {type: tmpfs, device: tmpfs, o: nr_blocks=100000000}}"),
    "grace": web("    stop_grace_period: 8760h\n"),
    "shares": web("    cpu_shares: 262144\n"),
    "wide": web("    networks: [n]\n", "networks: {n: {ipam: {config: [{subnet: 10.0.0.0/8}]}}}\n"),
    "path-in-name": web("    networks: [n]\n", "networks: {n: {name: 'gate_a/../billing_default'}}\n"),
    "device": mounted("{driver_opts: {type: ext4, device: docs/../../dev/vda}}"),
    "memlock": web("    ulimits: {memlock: -1}\n"),
    "oom": web("    oom_score_adj: -1000\n"),
    "shm": web("    shm_size: 100g\n"),
    "sysctl": web("    sysctls: {kernel.core_pattern: '|/x'}\n"),
    "fragments": web("    sysctls: {net.ipv4.ipfrag_high_thresh: 1000000000}\n"),
    "blkio": web("    blkio_config: {device_read_bps: [{path: /dev/null, rate: 1}]}\n"),
    "name": web("    container_name: billing-web-2\n"),
    "subnet": web("    networks: [n]\n", "networks: {n: {ipam: {config: [{subnet: 169.254.169.0/24}]}}}\n"),
    "gateway": pool("gateway: 8.8.8.8"),
    "gateway-of-others": pool("gateway: 172.31.248.1"),
    "range": pool("ip_range: 172.31.248.0/25"),
    "auxiliary": pool("aux_addresses: {a: 8.8.8.8}"),
    "bridge-name": web(
        "    networks: [n]\n", "networks: {n: {driver_opts: {com.docker.network.bridge.name: br0}}}\n"
    ),
    "macvlan": web("    networks: [n]\n", "networks: {n: {driver: macvlan}}\n"),
    "volumes-from": web("    volumes_from: ['container:billing-db-1']\n"),
    "external-link": web("    external_links: ['billing-db-1:db']\n"),
    "label": web("    labels: {traefik.enable: 'true'}\n"),
    "variable": web("    environment: {VIRTUAL_HOST: billing.example.com}\n"),
    "propagation": web("    volumes: ['./a.txt:/a:rshared']\n"),
}


@pytest.mark.case("X01", "X02", "X06", "X07", "X09")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_x1_a_hostile_file_reaches_no_engine_even_where_its_model_was_not_judged(
    host: Host, text: str
) -> None:
    with pytest.raises(DeployerError) as refused:
        host.create(text, **{"a.txt": "a"})
    assert refused.value.code in ("power-refused", "compose-rejected"), refused.value.diagnostics()
    assert not host.target.observe(host.project).replicas
    assert not any("host" in name for name in host.traces())


@pytest.mark.case("X04")
def test_x4_labels_of_the_deployer_never_reach_a_container(host: Host) -> None:
    labels = (
        "    labels: {deployer.takes-over: 'true', deployer.networks: '{\"billing_default\": {}}', a: b}\n"
    )
    (replica,) = host.create(web(labels))
    found = host.target._engine.details(replica)["Config"]["Labels"]
    assert found["a"] == "b"
    assert {name for name in found if name.startswith("deployer.")} == {"deployer.spec"}


@pytest.mark.case("X02")
def test_x2_a_file_that_changes_after_the_judgement_gives_no_power(host: Host) -> None:
    """The folder that Compose reads is open to root alone; here a test writes to it as root could."""
    application, model = host.assemble(web(""))
    entry = Path(model[FOLDER]) / "compose.yaml"
    entry.write_text(web("    privileged: true\n    pid: host\n    volumes: ['/:/host']\n"))
    with pytest.raises(ComposeRejected) as refused:
        host.target.create(application, {"web": 1})
    assert "privileged" in str(refused.value) and "bind:/" in str(refused.value)
    assert not host.target.observe(host.project).replicas


@pytest.mark.case("X02")
def test_x2_a_container_cannot_write_to_the_files_of_its_release(host: Host) -> None:
    text = web(
        "    volumes: ['./compose.yaml:/c.yaml', {type: bind, source: ./a.txt, target: /a.txt}]\n"
        "    configs: [c]\n    secrets: [s]\n",
        "configs: {c: {file: ./a.txt}}\nsecrets: {s: {file: ./a.txt}}\n",
    )
    (replica,) = host.create(text, **{"a.txt": "of the repository\n"})
    host.target.start(host.project, [replica])
    wait_for("the container", lambda: bool((now := host.target.look(replica)) and now.running), 20)
    for path in ("/c.yaml", "/a.txt", "/c", "/run/secrets/s"):
        said = docker("exec", replica.id, "sh", "-c", f"echo x >> {path} || echo refused; cat {path}")
        assert "refused" in said and "\nx\n" not in said, said
    mounts = host.target._engine.details(replica)["Mounts"]
    assert {mount["RW"] for mount in mounts} == {False}
    assert {str(Path(mount["Source"]).parent.parent) for mount in mounts} == {str(host.state / "bundles")}


def test_no_container_has_the_port_at_which_the_deployer_listens(host: Host) -> None:
    host.target._engine.listen = "127.0.0.1:39177"
    for line in ('"39177:80"', '"127.0.0.1:39170-39180:80"', '"0.0.0.0:39177:81"'):
        application, _ = host.assemble(web(f"    ports: [{line}]\n"))
        assert application.service(EDGE), "the edge has the port in the service's place"
        for own in ("    x-deployer: {order: stop-first}\n", ""):
            application, _ = host.assemble(web(f"    ports: [{line}]\n{own}"))
            with pytest.raises(PortTaken, match="where the deployer itself listens at 127"):
                host.target.create(application, {one.name: 1 for one in application.services})
    assert not host.target.observe(host.project).replicas
    assert host.create(web('    ports: ["127.0.0.1:39177:80/udp"]\n'))


def test_no_network_takes_a_route_of_the_host_whatever_is_granted(host: Host) -> None:
    routes = host.target._engine.reserved().routes
    route = next(one for one in routes if ":" not in one)
    text = web("    networks: [n]\n", f"networks: {{n: {{ipam: {{config: [{{subnet: {route}}}]}}}}}}\n")
    with pytest.raises(SubnetTaken, match=f"the server reaches {route} otherwise"):
        host.create(text, f"subnet:{route}")
    assert f"{host.project}_n" not in host.target._engine.networks()


@pytest.mark.case("X02")
def test_x2_a_copy_that_tests_a_start_has_no_grant_that_was_taken_away(host: Host) -> None:
    text = web(
        f"    volumes: ['{host.canary.parent}:/host:ro', './a.txt:/a.txt']\n    cap_add: [NET_ADMIN]\n"
    )
    files = {"a.txt": "of the repository\n"}
    granted = (f"bind:{host.canary.parent}", "cap_add:NET_ADMIN")
    (old,) = host.create(text, *granted, **files)
    for replica in (old, None):
        with pytest.raises(PowerRefused, match="cap_add:NET_ADMIN"):
            host.target.begin_copy(host.assemble(text, **files)[0], "web", replica)
        copy = host.target.begin_copy(host.assemble(text, *granted, **files)[0], "web", replica)
        mounts = {one["Destination"]: one for one in host.target._engine.details(copy)["Mounts"]}
        assert mounts["/host"]["Type"] == "volume", "nothing of the host"
        assert mounts["/a.txt"]["Source"].startswith(str(host.state / "bundles"))
        host.target.end_copy(host.project)


def test_every_power_can_be_granted(host: Host) -> None:
    text = web(f"    volumes: ['{host.canary.parent}:/host:ro']\n    cap_add: [NET_ADMIN]\n    pid: host\n")
    (replica,) = host.create(text, f"bind:{host.canary.parent}", "cap_add:NET_ADMIN", "pid:host")
    assert host.target._engine.details(replica)["HostConfig"]["PidMode"] == "host"


def test_an_external_network_is_granted_by_its_name_and_one_of_others_is_not(host: Host) -> None:
    """Compose sends its id."""
    name = f"{host.project}x"
    docker("network", "create", name)
    try:
        text = web("    networks: [n, default]\n", f"networks: {{n: {{name: {name}, external: true}}}}\n")
        with pytest.raises(ComposeRejected, match=f"network:{name}"):
            host.create(text)
        (replica,) = host.create(text, f"network:{name}")
        assert name in host.target._engine.details(replica)["NetworkSettings"]["Networks"]
    finally:
        remove_containers(host.project)
        docker("network", "rm", name)


def test_everyday_settings_need_no_grant(host: Host) -> None:
    text = web(
        """\
    ports: ["0:80"]
    user: "101"
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE, CHOWN]
    read_only: true
    tmpfs: ["/run", "/tmp:size=10m,mode=1777"]
    volumes: [data:/data, /scratch, ./a.txt:/a.txt]
    security_opt: ["no-new-privileges:true"]
    ulimits: {nofile: 65536, nproc: 512}
    sysctls: {net.core.somaxconn: 1024}
    shm_size: 256m
    mem_limit: 256m
    cpus: 0.5
    pids_limit: 100
    logging: {driver: json-file, options: {max-size: 1m, max-file: "3"}}
    extra_hosts: ["host.docker.internal:host-gateway"]
    dns: [1.1.1.1]
    group_add: ["101"]
    hostname: web
    init: true
    stop_signal: SIGQUIT
    healthcheck: {test: [CMD, "true"]}
    networks: {default: {aliases: [www]}, back: {ipv4_address: 172.31.250.10}}
""",
        "networks: {back: {internal: true, ipam: {config: [{subnet: 172.31.250.0/24}]}}}\n"
        "volumes: {data: {}}\n",
    )
    assert [one.service for one in host.create(text, **{"a.txt": "x"}) if one.image] != []
