"""Ports that tests give to servers: nobody else gets one of them before the server listens."""

from __future__ import annotations

import socket

from testing.docker.docker_cli import free_port


def test_a_free_port_is_given_once_and_a_server_may_listen_on_it() -> None:
    ports = [free_port() for _ in range(60)]
    assert len(set(ports)) == len(ports)
    others = set()
    for _ in range(3000):  # each would meet one of the sixty with a chance of 1 in 230
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            others.add(other.getsockname()[1])
    assert not others & set(ports)
    for address in ("127.0.0.1", "0.0.0.0", "127.0.0.2"):
        socket.create_server((address, ports[0])).close()
