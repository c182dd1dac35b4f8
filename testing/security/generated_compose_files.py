"""Compose files drawn at random from the whole specification. In: Compose's published schema. Out: hypothesis
strategies of Compose files as text.

Every key that the schema has for a service, a network, a volume, a config or a secret is drawn. Keys whose
values decide about powers of the host have their own values: hostile and everyday ones that people write,
listed here, and values drawn by the option's type (`compose_values.py`); all others get values of the
schema's types. Most files ask for one power, so that one missing rule shows.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from testing.docker.docker_cli import ROOT
from testing.security.compose_values import DRAWN
from testing.security.value_parts import NEIGHBOURS, PROJECT

NEIGHBOUR = NEIGHBOURS[0]
FILES = {"a.txt": "a\n", "app.env": "A=1\n"}
_WORDS = ("a", "web", "1", "true", "host", "/etc", "./a.txt", "1m", "10s", "localhost")
_SUBNETS = ("172.29.0.0/24", "10.9.8.0/24", "fd00:9::/64")
_FOREIGN_SUBNETS = (
    "169.254.169.0/24",
    "8.8.8.0/24",
    "100.64.0.0/10",
    "2001:db8::/64",
    "172.0.0.0/8",
    "0.0.0.0/1",
    "10.0.0.0/8",
    "fd00::/16",
)

# Values of service keys that decide about powers, in the forms that people write.
SERVICE: dict[str, list[Any]] = {
    "annotations": [{"run.oci.hooks": "x"}, ["io.kata.x=y"]],
    "blkio_config": [
        {"weight": 300},
        {"weight": 1000},
        {"device_read_bps": [{"path": "/dev/null", "rate": "1mb"}]},
        {"device_write_iops": [{"path": "/dev/null", "rate": 5}]},
        {"weight_device": [{"path": "/dev/null", "weight": 5}]},
    ],
    "cap_add": [["SYS_ADMIN"], ["ALL"], ["cap_net_admin"], ["sys_ptrace"], ["NET_BIND_SERVICE"], ["CHOWN"]],
    "cap_drop": [["ALL"], ["NET_RAW"]],
    "cgroup": ["host", "private"],
    "cgroup_parent": ["/system.slice", "x"],
    "container_name": [
        f"{NEIGHBOUR}-db-1",
        f"{NEIGHBOUR}_db_1",
        f"{PROJECT}-web",
        "plain",
        "deployer",
        "ge-db",
        "gen-x-1",
    ],
    "cpu_rt_period": ["1400us"],
    "cpu_rt_runtime": ["400us", 95000],
    "cpu_shares": [512, 262144],
    "credential_spec": [{"file": "a.json"}, {"registry": "x"}],
    "device_cgroup_rules": [["c 1:1 rwm"], ["a *:* rwm"]],
    "devices": [["/dev/null:/dev/x"], ["/dev/mem"], ["/dev/kvm:/dev/kvm:rwm"]],
    "environment": [{"A": "b"}, ["VIRTUAL_HOST=x"], {"LETSENCRYPT_HOST": "x"}, ["PATH=/x"]],
    "env_file": ["app.env", ["./app.env"], "/etc/passwd", "../../key"],
    "external_links": [[f"{NEIGHBOUR}-db-1:db"], [f"{NEIGHBOUR}-db-1"]],
    "gpus": ["all", [{"count": -1}]],
    "group_add": [["docker"], ["0"], ["101"]],
    "ipc": ["host", "shareable", "private", "container:x", "service:db"],
    "isolation": ["hyperv", "default"],
    "label_file": ["app.env", "/etc/passwd"],
    "labels": [
        {"a": "b"},
        {"deployer.networks": '{"billing_default": {}}'},
        ["deployer.takes-over=true"],
        {"traefik.enable": "true"},
        ["ofelia.job-run.x.command=y"],
        {"caddy": "billing.example.com"},
        {"com.centurylinklabs.watchtower.enable": "true"},
    ],
    "logging": [
        {"driver": "json-file", "options": {"max-size": "1m"}},
        {"driver": "none"},
        {"driver": "syslog", "options": {"syslog-address": "tcp://127.0.0.1:6379"}},
        {"driver": "fluentd"},
        {"options": {"tag": "{{pad `x` 9 0}}"}},
        {"options": {"mode": "non-blocking", "max-buffer-size": "900m"}},
        {"options": {"gelf-address": "udp://127.0.0.1:1"}},
        {"options": {"max-size": "1k", "max-file": "0000002000000"}},
        {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    ],
    "network_mode": ["host", "none", "bridge", "container:x", f"{NEIGHBOUR}_default", "service:db"],
    "networks": [
        ["default"],
        ["net"],
        {"net": {"aliases": ["db"]}},
        {"net": {"driver_opts": {"com.docker.network.endpoint.ifname": "eth9"}}},
    ],
    "oom_kill_disable": [True, False],
    "oom_score_adj": [-1000, 500],
    "pid": ["host", "service:db", "container:x"],
    "ports": [["8080:80"], ["127.0.0.1::80"], ["53:53/udp"]],
    "privileged": [True, False],
    "provider": [{"type": "x"}],
    "runtime": ["runsc", "runc", "nvidia"],
    "security_opt": [
        ["apparmor=unconfined"],
        ["seccomp=unconfined"],
        ["seccomp:unconfined"],
        ["label:disable"],
        ["no-new-privileges:true"],
        ["no-new-privileges:false"],
        ["systempaths=unconfined"],
    ],
    "shm_size": ["64m", "100g", 1024],
    "stop_grace_period": ["8760h", "1m"],
    "storage_opt": [{"size": "1g"}, {"dm.basesize": "1g"}],
    "healthcheck": [
        {"test": ["CMD", "true"], "interval": "5s"},
        {"test": ["CMD", "true"], "interval": "1ms"},
        {"test": ["CMD", "true"], "interval": "1m", "start_period": "1h", "start_interval": "1ms"},
    ],
    "tmpfs": ["/x", ["/x:size=64m"], ["/x:size=900g", "/y"]],
    "sysctls": [
        {"net.ipv4.ipfrag_high_thresh": "1000000000"},
        {"net.core.somaxconn": 1},
        {"kernel.core_pattern": "|/x"},
        ["kernel.shmmax=1"],
        ["vm.x=1"],
    ],
    "ulimits": [
        {"nofile": 1024},
        {"memlock": -1},
        {"rtprio": 99},
        {"nice": {"soft": 1, "hard": 40}},
        {"nofile": {"soft": 1, "hard": 99_999_999}},
    ],
    "use_api_socket": [True],
    "userns_mode": ["host"],
    "uts": ["host"],
    "volumes": [
        ["./a.txt:/a.txt"],
        ["./a.txt:/a.txt:rshared"],
        ["data:/data"],
        ["/data"],
        ["vol:/vol"],
        ["/:/host"],
        ["/etc/passwd:/x:ro"],
        ["/var/run/docker.sock:/x"],
        ["../..:/x"],
        ["~/.ssh:/x"],
        [{"type": "bind", "source": "/root", "target": "/x", "read_only": True}],
        [{"type": "bind", "source": "/", "target": "/x", "bind": {"propagation": "rslave"}}],
        [{"type": "bind", "source": ".", "target": "/x", "read_only": True}],
        [{"type": "tmpfs", "target": "/x", "tmpfs": {"size": 1000}}],
        [{"type": "volume", "source": "data", "target": "/x", "volume": {"nocopy": True}}],
        [{"type": "npipe", "source": "x", "target": "/x"}],
        [{"type": "cluster", "source": "data", "target": "/x"}],
        [{"type": "image", "source": "x", "target": "/x"}],
    ],
    "volumes_from": [["db"], ["container:x"], ["container:x:ro"]],
    "configs": [["conf"], [{"source": "conf", "target": "/c", "mode": 0o777}]],
    "secrets": [["sec"]],
    "deploy": [
        {"replicas": 2},
        {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}},
        {"resources": {"limits": {"memory": "100m", "pids": 5}}},
        {"labels": {"deployer.spec": "x"}},
    ],
    "depends_on": [["db"], {"db": {"condition": "service_started"}}],
    "links": [["db"], ["db:database"]],
    "build": [{"context": ".", "labels": {"deployer.hook": "x"}}, {"context": "."}],
    "post_start": [[{"command": ["x"], "privileged": True}]],
    "extends": [{"file": "/etc/passwd", "service": "x"}, {"service": "db"}],
}
NETWORK: dict[str, list[Any]] = {
    "driver": ["bridge", "macvlan", "host", "ipvlan"],
    "driver_opts": [
        {"com.docker.network.driver.mtu": "1400"},
        {"com.docker.network.bridge.name": "br0"},
        {"com.docker.network.bridge.host_binding_ipv4": "0.0.0.0"},
    ],
    "ipam": [
        *({"config": [{"subnet": subnet}]} for subnet in (*_SUBNETS, *_FOREIGN_SUBNETS)),
        {"driver": "infoblox"},
        {"options": {"a": "b"}},
    ],
    "name": [f"{NEIGHBOUR}_default", "host", "bridge", f"{PROJECT}_own", "plain"],
    "external": [True],
    "internal": [True],
    "labels": [{"a": "b"}, {"deployer.x": "y"}],
}
VOLUME: dict[str, list[Any]] = {
    "driver": ["local", "rclone", "nfs"],
    "driver_opts": [
        {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
        {"type": "tmpfs", "device": "/", "o": "rbind"},
        {"type": "none", "device": "/etc", "o": "bind"},
        {"type": "none", "device": "etc", "o": "bind"},
        {"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1"},
        {"type": "ext4", "device": "/dev/vda1"},
        {"type": "overlay", "device": "overlay", "o": "lowerdir=/"},
        {"type": "proc", "device": "proc"},
        {"type": "tmpfs", "device": "tmpfs", "x": "y"},
    ],
    "name": [f"{NEIGHBOUR}_data", f"{PROJECT}_own", "plain"],
    "external": [True],
    "labels": [{"deployer.x": "y"}, {"a": "b"}],
}
FILE: dict[str, list[Any]] = {
    "file": ["./a.txt", "/etc/shadow", "../../key", "~/.ssh/id_rsa", "/proc/self/environ"],
    "content": ["x"],
    "environment": ["HOME"],
    "external": [True],
    "labels": [{"deployer.x": "y"}],
}


@cache
def schema() -> dict[str, Any]:
    """Returns Compose's published schema, definitions by name."""
    argv = [str(ROOT / "script/tools"), "compose-schema"]
    path = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    whole: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    definitions: dict[str, Any] = whole.get("$defs") or whole["definitions"]
    return definitions


def keys_of(kind: str) -> list[str]:
    """Returns the keys that the schema has for a `service`, `network`, `volume`, `config` or `secret`."""
    return sorted(schema()[kind]["properties"])


def _of_schema(node: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Draws values of the types in a node of the schema."""
    if "$ref" in node:
        return _of_schema(schema()[node["$ref"].rpartition("/")[2]], depth)
    if "enum" in node:
        return st.sampled_from(node["enum"])
    for word in ("oneOf", "anyOf"):
        if word in node:
            return st.one_of([_of_schema(choice, depth) for choice in node[word]])
    kinds = node.get("type", "string")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind in ("integer", "number"):
        return st.sampled_from([0, 1, 5, 1000])
    if kind == "boolean":
        return st.booleans()
    if kind == "array" and depth < 3:
        return st.lists(_of_schema(node.get("items") or {}, depth + 1), max_size=2)
    if kind == "object" and depth < 3:
        return _of_object(node, depth)
    return st.sampled_from(_WORDS)


def _of_object(node: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    named = {key: _of_schema(inner, depth + 1) for key, inner in (node.get("properties") or {}).items()}
    needed = {key: named[key] for key in node.get("required") or () if key in named}
    free = st.dictionaries(st.sampled_from(_WORDS[:3]), st.sampled_from(_WORDS), max_size=2)
    if not named:
        return free
    return st.fixed_dictionaries(needed, optional={k: v for k, v in named.items() if k not in needed})


@st.composite
def _table(draw: st.DrawFn, kind: str, values: dict[str, list[Any]], count: int) -> dict[str, Any]:
    """Draws `count` keys; keys whose values decide about powers come more often."""
    properties = schema()[kind]["properties"]
    deciding = sorted({*values, *DRAWN[kind]})
    names = [*sorted(properties), *deciding, *deciding]
    keys = dict.fromkeys(draw(st.lists(st.sampled_from(names), min_size=count, max_size=count)))
    return {
        key: draw(_of_key(kind, key, values.get(key, [])))
        for key in keys
        if key not in ("image", "name") or key in deciding
    }


def _of_key(kind: str, key: str, written: list[Any]) -> st.SearchStrategy[Any]:
    """Draws a written value once and a value by the option's type twice; without either, a value by the
    schema.
    """
    drawn = DRAWN[kind].get(key)
    if drawn is None:
        return st.sampled_from(written) if written else _of_schema(schema()[kind]["properties"][key])
    return st.one_of(*([st.sampled_from(written)] if written else []), drawn, drawn)


@st.composite
def compose_files(draw: st.DrawFn) -> str:
    """Draws a Compose file as JSON, which is YAML: one service of any shape, and a plain one beside it."""
    service = draw(_table("service", SERVICE, draw(st.sampled_from([1, 1, 1, 2, 4]))))
    document: dict[str, Any] = {
        "services": {"web": {"image": "nginx:alpine", **service}, "db": {"image": "nginx:alpine"}},
        "networks": {"net": draw(_table("network", NETWORK, draw(st.sampled_from([0, 0, 1, 2]))))},
        "volumes": {
            "data": None,
            "vol": draw(_table("volume", VOLUME, draw(st.sampled_from([0, 0, 1, 2])))),
        },
    }
    if draw(st.integers(0, 3)) == 0:
        document["services"]["web"].setdefault("volumes", ["vol:/vol"])
        document["services"]["web"].setdefault("networks", ["net"])
    if "configs" in service or draw(st.integers(0, 9)) == 0:
        document["configs"] = {"conf": draw(_table("config", FILE, 1)) or {"file": "./a.txt"}}
        document["services"]["web"].setdefault("configs", ["conf"])
    if "secrets" in service or draw(st.integers(0, 9)) == 0:
        document["secrets"] = {"sec": draw(_table("secret", FILE, 1)) or {"file": "./a.txt"}}
        document["services"]["web"].setdefault("secrets", ["sec"])
    return json.dumps(document, indent=1)
