"""The way to a server that does not answer, stage by stage, on real sockets."""

from __future__ import annotations

import socket
import threading

import pytest

from deployer.io.reachability import trace


def test_w3_a_name_that_does_not_exist_is_told_as_dns() -> None:
    found = trace("https://deploy.nowhere.invalid")
    assert found.told.startswith("DNS of deploy.nowhere.invalid: ") and "TCP" not in found.told
    assert "public DNS" in found.hint


def test_w3_a_port_without_a_listener_is_told_as_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = trace(f"https://127.0.0.1:{port}")
    assert found.told == f"DNS of 127.0.0.1: 127.0.0.1; TCP to port {port}: Connection refused"
    assert "firewall" in found.hint


def test_w3_a_listener_without_tls_is_told_as_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        found = trace(f"https://127.0.0.1:{port}")
        thread.join(5)
    assert f"TCP to port {port}: open; TLS: " in found.told and "certificate" in found.hint


def test_w3_an_open_way_leads_to_the_receiver_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = trace(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert found.told.endswith(": open") and "docker logs" in found.hint


def test_w3_a_proxy_of_the_environment_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:hush@proxy.example:3128")
    found = trace("https://deploy.example.com")
    assert found.told == "through the proxy proxy.example" and "deploy.example.com:443" in found.hint
    assert "hush" not in found.told + found.hint
