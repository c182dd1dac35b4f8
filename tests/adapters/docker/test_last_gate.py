"""The last gate on a real engine: real Compose makes requests of hostile files, with the judgement of the
rendered model left out, and a file of root on the host stays unread and unwritten.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.core.compose.rendering import FOLDER
from deployer.core.errors import ComposeRejected, DeployerError, PortTaken, SubnetTaken
from deployer.core.permissions.grants import PowerRefused
from deployer.core.rollout.desired_state import EDGE
from testing.docker.docker_cli import docker, remove_containers, wait_for
from testing.security.canary_host import Host
from testing.security.hostile_compose_files import mounted, web

pytestmark = pytest.mark.engine


def pool(line: str) -> str:
    return web(
        "    networks: [n]\n",
        f"networks: {{n: {{ipam: {{config: [{{subnet: 172.31.249.0/24, {line}}}]}}}}}}\n",
    )


# Beside those of `hostile_compose_files.py`, of which each names the grant that its refusal asks for.
HOSTILE: dict[str, str] = {
    "x1": mounted("{driver_opts: {type: tmpfs, o: rbind, device: /}}"),
    "x1-none": mounted("{driver_opts: {type: none, o: bind, device: /etc}}"),
    "x1-relative": mounted("{driver_opts: {type: none, o: bind, device: etc}}"),
    "x1-overlay": mounted("{driver_opts: {type: overlay, device: overlay, o: 'lowerdir=/'}}"),
    "bind-long": web("    volumes: [{type: bind, source: /etc, target: /x, read_only: true}]\n"),
    "config": web("    configs: [c]\n", "configs: {c: {file: /etc/shadow}}\n"),
    "secret": web("    secrets: [c]\n", "secrets: {c: {file: ../../key}}\n"),
    "privileged": web("    privileged: true\n"),
    "pid": web("    pid: host\n"),
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
    "fragments": web("    sysctls: {net.ipv4.ipfrag_high_thresh: 1000000000}\n"),
    "gateway": pool("gateway: 8.8.8.8"),
    "gateway-of-others": pool("gateway: 172.31.248.1"),
    "range": pool("ip_range: 172.31.248.0/25"),
    "auxiliary": pool("aux_addresses: {a: 8.8.8.8}"),
}


@pytest.mark.case("X01", "X02", "X06", "X07", "X09")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_x1_a_hostile_file_reaches_no_engine_even_where_its_model_was_not_judged(
    held: Host, text: str
) -> None:
    with pytest.raises(DeployerError) as refused:
        held.create(text, **{"a.txt": "a"})
    assert refused.value.code in ("power-refused", "compose-rejected"), refused.value.diagnostics()
    assert not held.host.runtime.observe(held.project).replicas
    assert not any("host" in name for name in held.traces())


@pytest.mark.case("X04")
def test_x4_labels_of_the_deployer_never_reach_a_container(held: Host) -> None:
    labels = (
        "    labels: {deployer.takes-over: 'true', deployer.networks: '{\"billing_default\": {}}', a: b}\n"
    )
    (replica,) = held.create(web(labels))
    found = held.engine.containers.details(replica)["Config"]["Labels"]
    assert found["a"] == "b"
    assert {name for name in found if name.startswith("deployer.")} == {"deployer.spec"}


@pytest.mark.case("X02")
def test_x2_a_file_that_changes_after_the_judgement_gives_no_power(held: Host) -> None:
    """The folder that Compose reads is open to root alone; here a test writes to it as root could."""
    application, model = held.assemble(web(""))
    entry = Path(model[FOLDER]) / "compose.yaml"
    entry.write_text(web("    privileged: true\n    pid: host\n    volumes: ['/:/host']\n"))
    with pytest.raises(ComposeRejected) as refused:
        held.host.runtime.create(application, {"web": 1})
    assert "privileged" in str(refused.value) and "bind:/" in str(refused.value)
    assert not held.host.runtime.observe(held.project).replicas


@pytest.mark.case("X02")
def test_x2_a_container_cannot_write_to_the_files_of_its_release(held: Host) -> None:
    text = web(
        "    volumes: ['./compose.yaml:/c.yaml', {type: bind, source: ./a.txt, target: /a.txt}]\n"
        "    configs: [c]\n    secrets: [s]\n",
        "configs: {c: {file: ./a.txt}}\nsecrets: {s: {file: ./a.txt}}\n",
    )
    (replica,) = held.create(text, **{"a.txt": "of the repository\n"})
    held.host.runtime.start(held.project, [replica])
    wait_for("the container", lambda: bool((now := held.host.hooks.look(replica)) and now.running), 20)
    for path in ("/c.yaml", "/a.txt", "/c", "/run/secrets/s"):
        said = docker("exec", replica.id, "sh", "-c", f"echo x >> {path} || echo refused; cat {path}")
        assert "refused" in said and "\nx\n" not in said, said
    mounts = held.engine.containers.details(replica)["Mounts"]
    assert {mount["RW"] for mount in mounts} == {False}
    assert {str(Path(mount["Source"]).parent.parent) for mount in mounts} == {str(held.state / "bundles")}


def test_no_container_has_the_port_at_which_the_deployer_listens(held: Host) -> None:
    held.engine.host.listen = "127.0.0.1:39177"
    for line in ('"39177:80"', '"127.0.0.1:39170-39180:80"', '"0.0.0.0:39177:81"'):
        application, _ = held.assemble(web(f"    ports: [{line}]\n"))
        assert application.service(EDGE), "the edge has the port in the service's place"
        for own in ("    x-deployer: {order: stop-first}\n", ""):
            application, _ = held.assemble(web(f"    ports: [{line}]\n{own}"))
            with pytest.raises(PortTaken, match="where the deployer itself listens at 127"):
                held.host.runtime.create(application, {one.name: 1 for one in application.services})
    assert not held.host.runtime.observe(held.project).replicas
    assert held.create(web('    ports: ["127.0.0.1:39177:80/udp"]\n'))


def test_no_network_takes_a_route_of_the_host_whatever_is_granted(held: Host) -> None:
    routes = held.engine.host.reserved().routes
    route = next(one for one in routes if ":" not in one)
    text = web("    networks: [n]\n", f"networks: {{n: {{ipam: {{config: [{{subnet: {route}}}]}}}}}}\n")
    with pytest.raises(SubnetTaken, match=f"the server reaches {route} otherwise"):
        held.create(text, f"subnet:{route}")
    assert f"{held.project}_n" not in held.engine.networks.ids()


@pytest.mark.case("X02")
def test_x2_a_copy_that_tests_a_start_has_no_grant_that_was_taken_away(held: Host) -> None:
    text = web(
        f"    volumes: ['{held.canary.path.parent}:/host:ro', './a.txt:/a.txt']\n    cap_add: [NET_ADMIN]\n"
    )
    files = {"a.txt": "of the repository\n"}
    granted = (f"bind:{held.canary.path.parent}", "cap_add:NET_ADMIN")
    (old,) = held.create(text, *granted, **files)
    for replica in (old, None):
        with pytest.raises(PowerRefused, match="cap_add:NET_ADMIN"):
            held.host.hooks.begin_copy(held.assemble(text, **files)[0], "web", replica)
        copy = held.host.hooks.begin_copy(held.assemble(text, *granted, **files)[0], "web", replica)
        mounts = {one["Destination"]: one for one in held.engine.containers.details(copy)["Mounts"]}
        assert mounts["/host"]["Type"] == "volume", "nothing of the host"
        assert mounts["/a.txt"]["Source"].startswith(str(held.state / "bundles"))
        held.host.hooks.end_copy(held.project)


def test_every_power_can_be_granted(held: Host) -> None:
    text = web(
        f"    volumes: ['{held.canary.path.parent}:/host:ro']\n    cap_add: [NET_ADMIN]\n    pid: host\n"
    )
    (replica,) = held.create(text, f"bind:{held.canary.path.parent}", "cap_add:NET_ADMIN", "pid:host")
    assert held.engine.containers.details(replica)["HostConfig"]["PidMode"] == "host"


def test_an_external_network_is_granted_by_its_name_and_one_of_others_is_not(held: Host) -> None:
    """Compose sends its id."""
    name = f"{held.project}x"
    docker("network", "create", name)
    try:
        text = web("    networks: [n, default]\n", f"networks: {{n: {{name: {name}, external: true}}}}\n")
        with pytest.raises(ComposeRejected, match=f"network:{name}"):
            held.create(text)
        (replica,) = held.create(text, f"network:{name}")
        assert name in held.engine.containers.details(replica)["NetworkSettings"]["Networks"]
    finally:
        remove_containers(held.project)
        docker("network", "rm", name)


def test_everyday_settings_need_no_grant(held: Host) -> None:
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
    assert [one.service for one in held.create(text, **{"a.txt": "x"}) if one.image] != []
