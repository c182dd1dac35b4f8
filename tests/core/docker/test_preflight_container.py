"""What the copy of a replica may touch: nothing of anybody's."""

from __future__ import annotations

from typing import Any

from deployer.core.docker.preflight_container import copy_body, name_of_copy

FILES = "/state/bundles"


def copied(**host: Any) -> dict[str, Any]:
    body = {
        "Image": "shop@sha256:ab",
        "Cmd": ["serve"],
        "Env": ["A=1"],
        "Hostname": "db",
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"traefik.enable": "true"},
        "Healthcheck": {"Test": ["CMD", "true"]},
        "HostConfig": host,
    }
    return copy_body(body, "shop", "db", FILES)


def mounts(**host: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = copied(**host)["HostConfig"]["Mounts"]
    return found


def test_it_is_alone_and_runs_the_same_program() -> None:
    made = copied(
        NetworkMode="host",
        PortBindings={"80/tcp": [{"HostPort": "80"}]},
        RestartPolicy={"Name": "always"},
        Privileged=True,
        PidMode="host",
        UsernsMode="host",
        Memory=64,
    )
    assert (made["Image"], made["Cmd"], made["Env"]) == ("shop@sha256:ab", ["serve"], ["A=1"])
    host = made["HostConfig"]
    assert host == {"NetworkMode": "none", "RestartPolicy": {"Name": "no"}, "Memory": 64, "Mounts": []}
    assert made["Healthcheck"] == {"Test": ["NONE"]} and "Hostname" not in made and "ExposedPorts" not in made
    assert "traefik.enable" not in made["Labels"], "no proxy may send it requests"
    assert made["Labels"]["com.docker.compose.oneoff"] == "True"
    assert name_of_copy("shop", "db") == "shop-db-preflight"


def test_what_may_be_written_is_scratch_and_the_rest_is_real() -> None:
    binds = ["data:/data", "/srv/x:/x:rw", "/srv/y:/y:ro", "/etc/localtime:/etc/localtime:ro"]
    binds.append(f"{FILES}/1/app.conf:/etc/app.conf:rw")
    assert mounts(Binds=binds) == [
        {"Type": "volume", "Target": "/data"},
        {"Type": "volume", "Target": "/x"},
        {"Type": "volume", "Target": "/y"},
        {"Type": "bind", "Source": "/etc/localtime", "Target": "/etc/localtime", "ReadOnly": True},
        {"Type": "bind", "Source": f"{FILES}/1/app.conf", "Target": "/etc/app.conf", "ReadOnly": True},
    ]
    listed = [
        {"Type": "volume", "Source": "data", "Target": "/data"},
        {"Type": "volume", "Source": "ro", "Target": "/ro", "ReadOnly": True},
        {"Type": "tmpfs", "Target": "/tmp"},
        {"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/var/run/docker.sock"},
    ]
    assert mounts(Mounts=listed) == [
        {"Type": "volume", "Target": "/data"},
        {"Type": "volume", "Source": "ro", "Target": "/ro", "ReadOnly": True},
        {"Type": "tmpfs", "Target": "/tmp"},
        {"Type": "volume", "Target": "/var/run/docker.sock"},
    ]
