"""Compose files of a hostile author that aim at a file of root on the server. In: nothing. Out: rows, each
with the deployer's required answer, and harmless files that must not lead to the file.

`@FILE` stands for the path of root's file, `@DIR` for its folder, `@PROJECT` for the project's name.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE = "nginx:alpine"
NEIGHBOUR = "billing"
FILES = {
    "a.txt": "of the repository\n",
    "@link": "@FILE",
}  # as git stores a link: a file with its target


@dataclass(frozen=True)
class Row:
    """`asks`: the grant in the refusal, or the refusal's words if no grant allows it. `reads`, `writes`: True
    if a container of the file would do so to root's file without the deployer's judgement.
    """

    text: str
    asks: str
    code: str = "power-refused"
    reads: bool = False
    writes: bool = False


def web(lines: str, top: str = "") -> str:
    return f"services:\n  web:\n    image: {BASE}\n    command: [sleep, '600']\n{lines}{top}"


def mounted(volume: str) -> str:
    return web("    volumes: ['host:/host']\n", f"volumes:\n  host: {volume}\n")


def networked(network: str) -> str:
    return web("    networks: [n]\n", f"networks: {{n: {network}}}\n")


def pooled(pool: str) -> str:
    return networked(f"{{ipam: {{config: [{pool}]}}}}")


def _bound(options: str) -> str:
    return mounted(f"{{driver_opts: {{{options}}}}}")


# Root's own file by every option that names a path of the host.
PATHS: dict[str, Row] = {
    "file": Row(web("    volumes: ['@FILE:/x']\n"), "bind:@FILE", reads=True, writes=True),
    "file, read-only": Row(web("    volumes: ['@FILE:/x:ro']\n"), "bind:@FILE", reads=True),
    "folder": Row(web("    volumes: ['@DIR:/host']\n"), "bind:@DIR", reads=True, writes=True),
    "folder with dots": Row(
        web("    volumes: ['@DIR/../root-only/.:/host']\n"), "bind:@DIR", reads=True, writes=True
    ),
    "root": Row(web("    volumes: ['/:/host']\n"), "bind:/", reads=True, writes=True),
    "out of the release": Row(
        web("    volumes: ['../../../root-only:/host']\n"), "bind:@DIR", reads=True, writes=True
    ),
    "long": Row(
        web("    volumes: [{type: bind, source: '@FILE', target: /x, read_only: true}]\n"),
        "bind:@FILE",
        reads=True,
    ),
    "long, made where it lacks": Row(
        web("    volumes: [{type: bind, source: '@DIR', target: /x, bind: {create_host_path: true}}]\n"),
        "bind:@DIR",
        reads=True,
        writes=True,
    ),
    "long, of a tmpfs": Row(
        web("    volumes: [{type: bind, source: '@DIR', target: /x, tmpfs: {size: 1}}]\n"),
        "bind:@DIR",
        reads=True,
        writes=True,
    ),
    "by a variable's default": Row(
        web("    volumes: ['${NOTHING:-@DIR}:/x']\n"), "bind:@DIR", reads=True, writes=True
    ),
    "by an anchor": Row(
        f"x-v: &v ['@DIR:/x']\n{web('    volumes: *v' + chr(10))}", "bind:@DIR", reads=True, writes=True
    ),
    "beside a file of the release": Row(
        web("    volumes: ['./a.txt:/a', '@FILE:/x']\n"), "bind:@FILE", reads=True, writes=True
    ),
    "the prefix of the release": Row(
        web("    volumes: ['../0123456789abcdef:/x']\n"),
        "did not come with the Compose file",
        "compose-rejected",
    ),
    "volume, bind": Row(_bound("type: none, o: bind, device: '@DIR'"), "bind:@DIR", reads=True, writes=True),
    "volume, rbind as tmpfs": Row(
        _bound("type: tmpfs, o: rbind, device: '@DIR'"), "bind:@DIR", reads=True, writes=True
    ),
    "volume, bind in capitals": Row(_bound("type: none, o: BIND, device: '@DIR'"), "bind:@DIR"),
    "volume, bind among options": Row(
        _bound("type: none, o: 'ro,bind', device: '@DIR'"), "bind:@DIR", reads=True
    ),
    "volume, relative": Row(_bound("type: none, o: bind, device: 'etc/..@DIR'"), "bind:@DIR"),
    "volume, overlay": Row(_bound("type: overlay, device: overlay, o: 'lowerdir=@DIR'"), "mount:overlay"),
    "volume, overlay of two": Row(
        _bound("type: overlay, device: overlay, o: 'lowerdir=@DIR:/etc'"), "mount:overlay", reads=True
    ),
    "config": Row(web("    configs: [c]\n", "configs: {c: {file: '@FILE'}}\n"), "bind:@FILE", reads=True),
    "secret": Row(web("    secrets: [c]\n", "secrets: {c: {file: '@FILE'}}\n"), "bind:@FILE", reads=True),
    "config, relative": Row(
        web("    configs: [c]\n", "configs: {c: {file: ../../../root-only/canary}}\n"),
        "bind:@FILE",
        reads=True,
    ),
    "second service": Row(
        web("    volumes_from: [db]\n").replace(
            "services:\n", f"services:\n  db: {{image: '{BASE}', volumes: ['@DIR:/host']}}\n"
        ),
        "bind:@DIR",
        reads=True,
        writes=True,
    ),
    "processes of the host": Row(
        web("    pid: host\n    cap_add: [SYS_PTRACE]\n    security_opt: ['apparmor=unconfined']\n"),
        "pid:host",
        reads=True,
        writes=True,
    ),
    "privileged": Row(web("    privileged: true\n    pid: host\n"), "privileged", reads=True, writes=True),
    "seccomp profile": Row(
        web("    security_opt: ['seccomp=@FILE']\n"),
        "compacting json for seccomp profile",
        "compose-rejected",
    ),
    "device": Row(web("    devices: ['@FILE:/dev/x']\n"), "devices:@FILE"),
    "environment file": Row(web("    env_file: '@FILE'\n"), "outside the repository", "compose-rejected"),
    "environment file, relative": Row(
        web("    env_file: ../../../root-only/canary\n"), "outside the repository", "compose-rejected"
    ),
    "label file": Row(web("    label_file: '@FILE'\n"), "outside the repository", "compose-rejected"),
    "include": Row(f"include: ['@FILE']\n{web('')}", "outside the repository", "compose-rejected"),
    "extends": Row(
        web("    extends: {file: '@FILE', service: x}\n"), "outside the repository", "compose-rejected"
    ),
    "engine's socket": Row(web("    volumes: ['/var/run/docker.sock:/x']\n"), "bind:/run/docker.sock"),
    "deployer's key": Row(
        web("    volumes: ['../../key:/x']\n"), "did not come with the Compose file", "compose-rejected"
    ),
}
# Powers that lead to the same file indirectly, or harm the engine or another project.
POWERS: dict[str, Row] = {
    "volume, proc": Row(_bound("type: proc, device: proc"), "mount:proc"),
    "volume, disk": Row(_bound("type: ext4, device: docs/../../dev/vda"), "bind:/dev/vda"),
    "volume of the neighbour": Row(mounted(f"{{name: {NEIGHBOUR}_data}}"), f"volume:{NEIGHBOUR}_data"),
    "volumes of its container": Row(
        web(f"    volumes_from: ['container:{NEIGHBOUR}-db-1']\n"), f"volumes_from:container:{NEIGHBOUR}-db-1"
    ),
    "network of its container": Row(
        web(f"    network_mode: 'container:{NEIGHBOUR}-db-1'\n"), f"network_mode:container:{NEIGHBOUR}-db-1"
    ),
    "processes of its container": Row(
        web(f"    pid: 'container:{NEIGHBOUR}-db-1'\n"), f"pid:container:{NEIGHBOUR}-db-1"
    ),
    "memory of its container": Row(
        web(f"    ipc: 'container:{NEIGHBOUR}-db-1'\n"), f"ipc:container:{NEIGHBOUR}-db-1"
    ),
    "network of the neighbour": Row(
        networked(f"{{name: {NEIGHBOUR}_default}}"), f"network:{NEIGHBOUR}_default"
    ),
    "network by its path": Row(
        networked(f"{{name: 'gate_a/../{NEIGHBOUR}_default'}}"), f"network:gate_a/../{NEIGHBOUR}_default"
    ),
    "link to the neighbour": Row(
        web(f"    external_links: ['{NEIGHBOUR}-db-1:db']\n"), f"external_links:{NEIGHBOUR}-db-1:db"
    ),
    "name of the neighbour": Row(
        web(f"    container_name: {NEIGHBOUR}-web-2\n"), f"container_name:{NEIGHBOUR}-web-2"
    ),
    "capability": Row(web("    cap_add: [SYS_ADMIN]\n"), "cap_add:SYS_ADMIN"),
    "capability, small": Row(web("    cap_add: [cap_dac_read_search]\n"), "cap_add:DAC_READ_SEARCH"),
    "all capabilities": Row(web("    cap_add: [ALL]\n"), "cap_add:ALL"),
    "ipc": Row(web("    ipc: host\n"), "ipc:host"),
    "uts": Row(web("    uts: host\n"), "uts:host"),
    "userns": Row(web("    userns_mode: host\n"), "userns_mode:host"),
    "cgroup": Row(web("    cgroup: host\n"), "cgroup:host"),
    "network": Row(web("    network_mode: host\n"), "network_mode:host"),
    "network bridge": Row(web("    network_mode: bridge\n"), "network_mode:bridge"),
    "device node": Row(web("    devices: ['/dev/null:/dev/x']\n"), "devices:/dev/null"),
    "device rule": Row(web("    device_cgroup_rules: ['c 1:1 rwm']\n"), "device_cgroup_rules:c 1:1 rwm"),
    "gpu": Row(web("    deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}\n"), "gpus"),
    "apparmor": Row(web("    security_opt: ['apparmor=unconfined']\n"), "security_opt:apparmor=unconfined"),
    "seccomp": Row(web("    security_opt: ['seccomp=unconfined']\n"), "security_opt:seccomp=unconfined"),
    "paths of the kernel": Row(
        web("    security_opt: ['systempaths=unconfined']\n"), "security_opt:systempaths=unconfined"
    ),
    "runtime": Row(web("    runtime: runsc\n"), "runtime:runsc"),
    "cgroup parent": Row(web("    cgroup_parent: /system.slice\n"), "cgroup_parent:/system.slice"),
    "annotations": Row(web("    annotations: {run.oci.hooks: x}\n"), "annotations:run.oci.hooks"),
    "syslog": Row(
        web("    logging: {driver: syslog, options: {syslog-address: 'tcp://127.0.0.1:6379'}}\n"),
        "logging:syslog",
    ),
    "log options": Row(
        web("    logging: {options: {syslog-address: 'unixgram:///dev/log'}}\n"),
        "logging:default.syslog-address",
    ),
    "log template": Row(
        web("    logging: {options: {tag: '{{pad \"x\" 9999 0}}'}}\n"), "logging:default.tag"
    ),
    "log buffer": Row(
        web("    logging: {options: {mode: non-blocking, max-buffer-size: 900m}}\n"),
        "logging:default.max-buffer-size",
    ),
    "grace": Row(web("    stop_grace_period: 8760h\n"), "stop_grace_period"),
    "shares": Row(web("    cpu_shares: 262144\n"), "cpu_shares"),
    "memory lock": Row(web("    ulimits: {memlock: -1}\n"), "ulimits:memlock"),
    "spared by the kernel": Row(web("    oom_score_adj: -1000\n"), "oom_score_adj"),
    "shared memory": Row(web("    shm_size: 100g\n"), "shm_size"),
    "sysctl": Row(web("    sysctls: {kernel.core_pattern: '|/x'}\n"), "sysctls:kernel.core_pattern"),
    "block device": Row(
        web("    blkio_config: {device_read_bps: [{path: /dev/null, rate: 1}]}\n"), "blkio_config"
    ),
    "subnet of metadata": Row(pooled("{subnet: 169.254.169.0/24}"), "subnet:169.254.169.0/24"),
    "wide subnet": Row(pooled("{subnet: 10.0.0.0/8}"), "subnet:10.0.0.0/8"),
    "bridge by name": Row(
        networked("{driver_opts: {com.docker.network.bridge.name: br0}}"),
        "driver_opts:com.docker.network.bridge.name",
    ),
    "macvlan": Row(networked("{driver: macvlan}"), "driver:macvlan"),
    "label": Row(web("    labels: {traefik.enable: 'true'}\n"), "label:traefik."),
    "variable": Row(
        web("    environment: {VIRTUAL_HOST: billing.example.com}\n"), "environment:VIRTUAL_HOST"
    ),
    "propagation": Row(web("    volumes: ['./a.txt:/a:rshared']\n"), "propagation:rshared"),
}
# Harmless files: each names root's file where it is a path of the container, or without effect.
PERMITTED: dict[str, str] = {
    "path of the container": web("    user: root\n    working_dir: '@DIR'\n"),
    "a link as git keeps it": web("    volumes: ['./@link:/x']\n"),
    "a volume at its path": web("    volumes: ['data:@DIR']\n", "volumes: {data: {}}\n"),
    "memory at its path": web("    tmpfs: ['@DIR']\n"),
    "a file at its path": web("    volumes: ['./a.txt:@FILE']\n"),
    "a config at its path": web(
        "    configs: [{source: c, target: '@FILE'}]\n", "configs: {c: {file: ./a.txt}}\n"
    ),
    "a text that is unpacked out of the root": web(
        "    configs: [{source: c, target: '/../../..@FILE'}]\n", "configs: {c: {content: overwritten}}\n"
    ),
    "a text that is unpacked by a process": web(
        "    configs: [{source: c, target: '/proc/1/root@FILE'}]\n", "configs: {c: {content: overwritten}}\n"
    ),
    "variables and labels": web(
        "    environment: {A: 'file://@FILE', PASSWORD_FILE: '@FILE'}\n    labels: {a: '@FILE'}\n"
    ),
    "check of health": web(
        "    healthcheck: {test: [CMD, cat, '@FILE'], interval: 1s, start_period: 0s, retries: 1}\n"
    ),
    "a volume of its own name": mounted("{name: '@PROJECT_own'}"),
    "memory as a volume": mounted("{driver_opts: {type: tmpfs, device: tmpfs, o: size=1m}}"),
    "spaces of a service of its own": web("    pid: service:db\n    ipc: service:db\n").replace(
        "services:\n", f"services:\n  db: {{image: '{BASE}', ipc: shareable, command: [sleep, '600']}}\n"
    ),
    "volumes of a service of its own": web("    volumes_from: [db]\n").replace(
        "services:\n",
        f"services:\n  db: {{image: '{BASE}', volumes: ['/scratch'], command: [sleep, '600']}}\n",
    ),
    "every capability of a container": web(
        "    user: root\n    cap_add: [MKNOD, SYS_CHROOT, DAC_OVERRIDE]\n"
    ),
    "a link in a volume of its own, by subpath": web(
        "    volumes: [{type: volume, source: data, target: /host, volume: {subpath: out}}]\n",
        "volumes: {data: {}}\n",
    ).replace(
        "services:\n",
        f"services:\n  a: {{image: '{BASE}', volumes: ['data:/d'],"
        " command: [sh, -c, 'ln -s @DIR /d/out; sleep 600']}\n",
    ),
}
