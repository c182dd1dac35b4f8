"""The registry adapter against a real registry, and against a server that misbehaves in every known way."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests

from deployer.adapters.registry.connection_policy import open_client
from deployer.adapters.registry.oci_registry import OciRegistry
from deployer.adapters.registry.registry_errors import RegistryAddress, in_words
from deployer.core.errors import ImageNotFound, RegistryRefused, RegistryUnavailable
from deployer.core.images import Image
from deployer.core.model import Credentials
from deployer.core.registry_hosts import may_ask_realm
from deployer.io.http_client import Answer as Got
from deployer.io.http_client import HttpClient
from deployer.io.oci_client import OciClient
from testing.docker.docker_cli import registry
from testing.http_stub import Answer, Server

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OWN = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PASSWORD = "canary-password-4711"
SHA = "sha256:" + "ab" * 32


def digest_of(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


# --- a real registry


class Pusher:
    """Puts small images into a registry by its HTTP API."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.name = f"tests/{uuid.uuid4().hex[:12]}"
        self.http = requests.Session()
        self.http.trust_env = False

    @property
    def repository(self) -> str:
        return f"{self.host}/{self.name}"

    def blob(self, raw: bytes) -> dict[str, Any]:
        begun = self.http.post(f"http://{self.host}/v2/{self.name}/blobs/uploads/", timeout=10)
        ended = self.http.put(
            begun.headers["Location"], params={"digest": digest_of(raw)}, data=raw, timeout=10
        )
        assert ended.status_code == 201, ended.text
        return {"digest": digest_of(raw), "size": len(raw)}

    def manifest(self, tag: str, body: Mapping[str, Any]) -> str:
        raw = as_json(body)
        url, kind = f"http://{self.host}/v2/{self.name}/manifests/{tag}", {"Content-Type": body["mediaType"]}
        done = self.http.put(url, data=raw, headers=kind, timeout=10)
        assert done.status_code == 201, done.text
        return digest_of(raw)

    def image(self, tag: str, architecture: str = OWN, kind: str = OCI_MANIFEST) -> tuple[str, str]:
        """The manifest's digest and its configuration's."""
        docker = kind == DOCKER_MANIFEST
        config = self.blob(
            as_json(
                {
                    "architecture": architecture,
                    "os": "linux",
                    "rootfs": {"type": "layers"},
                    "config": {"Labels": {"made-for": architecture}},
                }
            )
        )
        layer = self.blob(b"a layer")
        types = ("docker.container.image.v1", "docker.image.rootfs.diff.tar.gzip")
        named = [
            f"application/vnd.{name}+json" if docker else f"application/vnd.oci.x.{name}" for name in types
        ]
        body = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {"mediaType": named[0], **config},
            "layers": [{"mediaType": named[1], **layer}],
        }
        return self.manifest(tag, body), str(config["digest"])

    def index(self, tag: str, *architectures: str) -> tuple[str, dict[str, str]]:
        """The index's digest, and the configuration's digest for each architecture."""
        images = {name: self.image(f"{tag}-{name}", name) for name in architectures}
        entries = [
            {
                "mediaType": OCI_MANIFEST,
                "digest": manifest,
                "size": 1,
                "platform": {"os": "linux", "architecture": name},
            }
            for name, (manifest, _) in images.items()
        ]
        attestation = {**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}}
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [attestation, *entries]}
        return self.manifest(tag, body), {name: config for name, (_, config) in images.items()}


@pytest.fixture
def real() -> Pusher:
    return Pusher(registry())


@pytest.mark.engine
@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_tag_resolves_to_the_digest_it_has_now(real: Pusher, kind: str) -> None:
    digest, config = real.image("sha-1", kind=kind)
    image = OciRegistry(host=real.host).resolve(real.repository, "sha-1", None)
    assert image == Image(real.repository, digest)
    assert OciRegistry(host=real.host).config_digest(image, None) == config


@pytest.mark.engine
@pytest.mark.case("F06")
def test_a_tag_that_moves_resolves_to_its_new_digest(real: Pusher) -> None:
    before, _ = real.image("main", "amd64")
    after, _ = real.image("main", "arm64")
    assert before != after
    assert OciRegistry(host=real.host).resolve(real.repository, "main", None).digest == after


@pytest.mark.engine
def test_an_image_for_several_platforms_resolves_to_its_index_and_to_the_config_of_this_machine(
    real: Pusher,
) -> None:
    digest, configs = real.index("v1", "s390x", OWN)
    image = OciRegistry(host=real.host).resolve(real.repository, "v1", None)
    assert image.digest == digest
    assert OciRegistry(host=real.host).config_digest(image, None) == configs[OWN]
    assert OciRegistry(host=real.host).layers(image, None) == {digest_of(b"a layer"): len(b"a layer")}


@pytest.mark.engine
def test_the_configuration_of_an_image_is_read_for_this_machine_and_once(real: Pusher) -> None:
    digest, _ = real.index("1.0", "arm64" if OWN == "amd64" else "amd64", OWN)
    registry = OciRegistry(host=real.host)
    found = registry.image_config(Image(real.repository, digest), None)
    assert found.labels == {"made-for": OWN}
    assert registry.image_config(Image(real.repository, digest), None) is found


@pytest.mark.engine
def test_an_index_without_this_machines_platform_names_it(real: Pusher) -> None:
    real.index("v1", "s390x")
    image = OciRegistry(host=real.host).resolve(real.repository, "v1", None)
    with pytest.raises(ImageNotFound, match=f"linux/{OWN}"):
        OciRegistry(host=real.host).config_digest(image, None)


@pytest.mark.engine
def test_a_missing_tag_and_a_missing_digest_name_both_causes(real: Pusher) -> None:
    real.image("there")
    for ask in (
        lambda: OciRegistry(host=real.host).resolve(real.repository, "missing", None),
        lambda: OciRegistry(host=real.host).config_digest(Image(real.repository, SHA), None),
    ):
        with pytest.raises(ImageNotFound, match="or this account may not read it") as caught:
            ask()
        assert "push it" in caught.value.hint
        assert "login" in caught.value.hint


# --- a registry that misbehaves


class Odd:
    """One server as registry and token realm; `manifest` and `token` say how it answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []  # method, target, authorization
        self.manifest: Callable[[str, str], Answer] = lambda method, proof: Answer(404)
        self.token: Callable[[str], Answer] = lambda proof: Answer(200, {"token": "issued"})
        self.released = threading.Event()
        self.server = Server(self.serve)
        self.host = self.server.host
        self.repository = f"{self.host}/acme/web"

    def serve(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        proof = headers.get("authorization", "")
        self.calls.append((method, target, proof))
        return self.token(proof) if target.startswith("/token") else self.manifest(method, proof)

    def wants_token(self, good: str = "Bearer issued", realm: str = "") -> Callable[[str, str], Answer]:
        realm = realm or f"{self.server.url}/token"
        challenge = {
            "WWW-Authenticate": f'Bearer realm="{realm}",service="odd",scope="repository:acme/web:pull"'
        }
        found = Answer(200, b"", {"Docker-Content-Digest": SHA})
        return lambda method, proof: found if proof == good else Answer(401, b"", challenge)

    def login(self, **changes: str) -> Credentials:
        return Credentials(**{"host": self.server.host, "username": "me", "password": PASSWORD, **changes})


@pytest.fixture
def odd() -> Iterator[Odd]:
    registry = Odd()
    with registry.server:
        yield registry
        registry.released.set()


def basic(password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


def test_all_four_manifest_types_are_accepted(odd: Odd) -> None:
    accepted: list[str] = []

    def serve(method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        accepted.append(headers["accept"])
        return Answer(200, b"", {"Docker-Content-Digest": SHA})

    with Server(serve) as server:
        OciRegistry(host=server.host).resolve(f"{server.host}/acme/web", "main", None)
    assert sorted(accepted[0].split(", ")) == sorted(
        [
            OCI_INDEX,
            OCI_MANIFEST,
            DOCKER_MANIFEST,
            "application/vnd.docker.distribution.manifest.list.v2+json",
        ]
    )


def test_an_anonymous_token_is_fetched_and_used_once(odd: Odd) -> None:
    odd.manifest = odd.wants_token()
    assert OciRegistry(host=odd.host).resolve(odd.repository, "main", None) == Image(odd.repository, SHA)
    assert odd.calls == [
        ("HEAD", "/v2/acme/web/manifests/main", ""),
        ("GET", "/token?service=odd&scope=repository%3Aacme%2Fweb%3Apull", ""),
        ("HEAD", "/v2/acme/web/manifests/main", "Bearer issued"),
    ]


def test_a_login_goes_to_the_realm_as_basic_and_never_to_the_manifest(odd: Odd) -> None:
    odd.manifest = odd.wants_token()
    odd.token = lambda proof: Answer(200, {"access_token": "issued"}) if proof == basic() else Answer(401)
    OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())
    assert [proof for _, _, proof in odd.calls] == ["", basic(), "Bearer issued"]


def test_a_login_for_another_registry_is_not_sent(odd: Odd) -> None:
    odd.manifest = odd.wants_token()
    OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login(host="evil.example"))
    assert [proof for _, _, proof in odd.calls] == ["", "", "Bearer issued"]


def test_a_registry_that_wants_basic_gets_it(odd: Odd) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="odd"'}
    found = Answer(200, b"", {"Docker-Content-Digest": SHA})
    odd.manifest = lambda method, proof: found if proof == basic() else Answer(401, b"", challenge)
    assert OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login()).digest == SHA
    with pytest.raises(ImageNotFound):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", None)


def test_a_token_that_is_refused_is_not_fetched_twice(odd: Odd) -> None:
    odd.manifest = odd.wants_token(good="never")
    with pytest.raises(ImageNotFound, match="or this account may not read it"):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())
    assert [target.partition("?")[0] for _, target, _ in odd.calls].count("/token") == 1
    assert len(odd.calls) == 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_realm_that_refuses_the_login_names_both_causes(odd: Odd, status: int) -> None:
    odd.manifest = odd.wants_token()
    odd.token = lambda proof: Answer(status)
    with pytest.raises(ImageNotFound, match="or this account may not read it") as caught:
        OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())
    assert PASSWORD not in caught.value.diagnostics()


@pytest.mark.parametrize(
    "answer",
    [Answer(500), Answer(429), Answer(307, b"", {"Location": "http://evil.example/"}), Answer(200, b"<html>"),
     Answer(200, {"other": 1}), Answer(200, {"token": "two\r\nlines"})],
)  # fmt: skip
def test_a_realm_that_gives_no_token_is_unavailable(odd: Odd, answer: Answer) -> None:
    odd.manifest = odd.wants_token()
    odd.token = lambda proof: answer
    with pytest.raises(RegistryUnavailable) as caught:
        OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())
    assert PASSWORD not in caught.value.diagnostics()
    assert basic() not in caught.value.diagnostics()


@pytest.mark.parametrize("realm", ["https://a b/token", "https://[::1/token", "https://a\x7fb/token"])
def test_a_realm_that_is_no_address_is_a_registry_out_of_reach(odd: Odd, realm: str) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="odd"'}
    odd.manifest = lambda method, proof: Answer(401, b"", challenge)
    with pytest.raises(RegistryUnavailable):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())


@pytest.mark.case("D07")
@pytest.mark.parametrize(
    "realm", ["http://realm.example/token", "http://127.evil.example/token", "ftp://x/", "", "/token"]
)
def test_a_realm_without_tls_elsewhere_gets_no_login(odd: Odd, realm: str) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="odd"'}
    odd.manifest = lambda method, proof: Answer(401, b"", challenge)
    with pytest.raises(RegistryUnavailable, match="not supported"):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())
    assert len(odd.calls) == 1


@pytest.mark.parametrize("challenge", ["Negotiate", "Digest realm=x"])
def test_an_unknown_kind_of_challenge_is_said(odd: Odd, challenge: str) -> None:
    odd.manifest = lambda method, proof: Answer(401, b"", {"WWW-Authenticate": challenge})
    with pytest.raises(RegistryUnavailable, match="not supported"):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}, "may not read it: unauthorized"),
        ({"errors": [{"code": "x" * 50}]}, "may not read it"),
        ({"errors": []}, "may not read it"),
        ({"errors": ["UNAUTHORIZED"]}, "may not read it"),
        (b"<html>", "may not read it"),
    ],
)
def test_a_401_that_asks_for_no_login_is_a_refusal_with_the_registrys_code(
    odd: Odd, body: dict[str, Any] | bytes, told: str
) -> None:
    odd.manifest = lambda method, proof: Answer(401, body)
    with pytest.raises(ImageNotFound) as caught:
        OciRegistry(host=odd.host).config_digest(Image(odd.repository, SHA), odd.login())
    assert str(caught.value).endswith(told)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.case("F06")
def test_denied_and_missing_read_alike(odd: Odd, status: int) -> None:
    odd.manifest = lambda method, proof: Answer(status)
    with pytest.raises(ImageNotFound, match=f"has no {odd.repository}:main, or this account may not"):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", None)


@pytest.mark.parametrize("status", [400, 429, 500, 503])
@pytest.mark.case("F06")
def test_any_other_answer_is_an_unavailable_registry(odd: Odd, status: int) -> None:
    odd.manifest = lambda method, proof: Answer(status)
    with pytest.raises(RegistryUnavailable, match=str(status)) as caught:
        OciRegistry(host=odd.host).resolve(odd.repository, "main", None)
    assert caught.value.hint
    assert len(odd.calls) == 1


@pytest.mark.case("F06")
def test_a_registry_that_hangs_ends_in_time(odd: Odd) -> None:
    def hang(method: str, proof: str) -> Answer:
        odd.released.wait(60)
        return Answer(200)

    odd.manifest = hang
    begun = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="ReadTimeout"):
        OciRegistry(host=odd.host, timeout=0.5).resolve(odd.repository, "main", None)
    assert time.monotonic() - begun < 400


def test_an_answer_that_drips_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                try:
                    for _ in range(1200):
                        connection.sendall(b"x")
                        time.sleep(0.05)  # the fault itself: bytes just often enough for the socket's timeout
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        image = Image(f"127.0.0.1:{listener.getsockname()[1]}/acme/web", SHA)
        begun = time.monotonic()
        with pytest.raises(RegistryUnavailable, match="too slow"):
            OciRegistry(host=image.repository.partition("/")[0], timeout=0.5).config_digest(image, None)
        assert time.monotonic() - begun < 40
        thread.join(5)


def test_an_answer_without_end_is_cut_off(odd: Odd) -> None:
    odd.manifest = lambda method, proof: Answer(200, b"x" * (5 * 1024 * 1024))
    with pytest.raises(RegistryUnavailable, match="too long"):
        OciRegistry(host=odd.host).config_digest(Image(odd.repository, SHA), None)


def test_nobody_at_the_address_is_an_unavailable_registry() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(RegistryUnavailable, match="ConnectionError"):
            host = f"127.0.0.1:{taken.getsockname()[1]}"
            OciRegistry(host=host).resolve(f"{host}/acme/web", "main", None)


@pytest.mark.parametrize(
    "head", [Answer(405), Answer(200), Answer(200, b"", {"Docker-Content-Digest": "sha256:short"})]
)
def test_where_head_tells_no_digest_the_bytes_do(odd: Odd, head: Answer) -> None:
    raw = as_json({"schemaVersion": 2})
    odd.manifest = lambda method, proof: head if method == "HEAD" else Answer(200, raw)
    assert OciRegistry(host=odd.host).resolve(odd.repository, "main", None).digest == digest_of(raw)


@pytest.mark.case("F06")
def test_bytes_that_do_not_have_their_digest_are_refused(odd: Odd) -> None:
    odd.manifest = lambda method, proof: Answer(200, as_json({"config": {"digest": SHA}}))
    with pytest.raises(RegistryUnavailable, match="does not have its digest"):
        OciRegistry(host=odd.host).config_digest(Image(odd.repository, SHA), None)


def test_a_digest_header_that_its_bytes_belie_is_refused(odd: Odd) -> None:
    lie = Answer(200, b"{}", {"Docker-Content-Digest": SHA})
    odd.manifest = lambda method, proof: Answer(405) if method == "HEAD" else lie
    with pytest.raises(RegistryUnavailable, match="does not have its digest"):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", None)


@pytest.mark.parametrize(
    "manifest",
    [{}, {"config": "x"}, {"config": {}}, {"config": {"digest": 7}}, {"config": {"digest": "sha256:short"}}],
)
def test_a_manifest_without_a_configuration_is_refused(odd: Odd, manifest: dict[str, Any]) -> None:
    raw = as_json(manifest)
    odd.manifest = lambda method, proof: Answer(200, raw)
    with pytest.raises(RegistryUnavailable, match="names no configuration"):
        OciRegistry(host=odd.host).config_digest(Image(odd.repository, digest_of(raw)), None)


@pytest.mark.parametrize("entries", [None, "x", [], ["x"], [{}], [{"platform": "linux"}]])
def test_an_index_of_nothing_usable_names_the_platform(odd: Odd, entries: object) -> None:
    raw = as_json({"manifests": entries})
    odd.manifest = lambda method, proof: Answer(200, raw)
    with pytest.raises(ImageNotFound, match=f"linux/{OWN}"):
        OciRegistry(host=odd.host).config_digest(Image(odd.repository, digest_of(raw)), None)


def test_a_manifest_that_is_gone_after_head_is_not_found(odd: Odd) -> None:
    odd.manifest = lambda method, proof: Answer(405)
    with pytest.raises(RegistryUnavailable, match="405"):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", None)


def test_a_moved_manifest_is_followed_on_the_same_host_with_the_token(odd: Odd) -> None:
    challenged = odd.wants_token()

    def serve(method: str, proof: str) -> Answer:
        if odd.calls[-1][1] == "/v2/elsewhere":
            return challenged(method, proof)
        return Answer(307, b"", {"Location": "/v2/elsewhere"})

    odd.manifest = serve
    assert OciRegistry(host=odd.host).resolve(odd.repository, "main", None).digest == SHA
    assert odd.calls[-1] == ("HEAD", "/v2/elsewhere", "Bearer issued")


@pytest.mark.case("D07")
def test_a_manifest_is_not_followed_to_another_host_without_tls(odd: Odd) -> None:
    odd.manifest = lambda method, proof: Answer(302, b"", {"Location": "http://evil.example/v2/x"})
    with pytest.raises(RegistryUnavailable, match="without TLS"):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())


def test_a_circle_of_moves_ends(odd: Odd) -> None:
    odd.manifest = lambda method, proof: Answer(302, b"", {"Location": "/v2/again"})
    with pytest.raises(RegistryUnavailable, match="302"):
        OciRegistry(host=odd.host).resolve(odd.repository, "main", None)
    assert len(odd.calls) == 4


def test_a_move_to_another_host_with_tls_leaves_the_token_behind(odd: Odd) -> None:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(4096))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        odd.manifest = lambda method, proof: Answer(
            302, b"", {"Location": f"https://127.0.0.1:{listener.getsockname()[1]}/v2/x"}
        )
        with pytest.raises(RegistryUnavailable):
            OciRegistry(host=odd.host, timeout=2).resolve(odd.repository, "main", odd.login())
        thread.join(5)
    assert seen[0][:1] == b"\x16", "the first byte should be a TLS handshake's"


def test_a_netrc_file_and_a_proxy_have_no_say_on_this_machine(
    odd: Odd, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password stolen\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    odd.manifest = odd.wants_token()
    OciRegistry(host=odd.host).resolve(odd.repository, "main", None)
    assert [proof for _, _, proof in odd.calls] == ["", "", "Bearer issued"]


@pytest.mark.parametrize(
    "name", ["nginx", "docker.io/library/nginx", "ghcr.io/acme/web", "127.evil.example/acme/web"]
)
def test_anything_but_this_machine_is_asked_with_tls_through_the_proxy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def listen() -> None:
            connection, _ = proxy.accept()
            with connection:
                asked.append(connection.recv(4096))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        for variable in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        login = Credentials("docker.io", "me", PASSWORD)
        with pytest.raises(RegistryUnavailable) as caught:
            OciRegistry(host="ghcr.io", timeout=2).resolve(name, "1.27", login)
        thread.join(5)
    host = name.partition("/")[0] if "." in name.partition("/")[0] else "docker.io"
    expected = "registry-1.docker.io" if host == "docker.io" else host
    assert asked[0].startswith(f"CONNECT {expected}:443 ".encode())
    assert PASSWORD not in caught.value.diagnostics()


# --- registries, realms and redirects that lead inside


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name → address, as a name server that the attacker owns answers."""
    known: dict[str, str] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        return real(known.get(str(host), host), *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for variable in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    return known


@pytest.mark.case("X08")
@pytest.mark.parametrize(
    "host",
    ["{odd}", "localhost:{port}", "[::1]:{port}", "127.1.2.3:{port}", "10.0.0.1", "169.254.169.254",
     "0.0.0.0:{port}",
     "[::ffff:127.0.0.1]:{port}", "[64:ff9b::7f00:1]:{port}", "[fe80::1]", "192.168.1.1:5000", "100.64.0.1"],
)  # fmt: skip
def test_a_registry_on_this_machine_or_its_network_is_refused_unless_it_is_configured(
    odd: Odd, names: dict[str, str], host: str
) -> None:
    place = host.format(odd=odd.host, port=odd.host.partition(":")[2])
    registry = OciRegistry(host="ghcr.io", timeout=2)
    for ask in (
        lambda: registry.resolve(f"{place}/x", "1", None),
        lambda: registry.layers(Image(f"{place}/x", SHA), None),
        lambda: registry.image_config(Image(f"{place}/x", SHA), None),
        lambda: registry.require(Image(f"{place}/x", SHA), None),
        lambda: registry.judge(f"{place}/x"),
    ):
        with pytest.raises(RegistryRefused, match="leads to this server or its network") as caught:
            ask()
    assert odd.calls == [] and "registry.host" in caught.value.hint


@pytest.mark.case("X08")
@pytest.mark.parametrize("name", ["inside.example", "127.1", "2130706433", "0x7f.1", "a.localhost"])
def test_a_name_that_stands_for_this_machine_is_refused_before_a_connection(
    odd: Odd, names: dict[str, str], name: str
) -> None:
    names["inside.example"] = names["a.localhost"] = "127.0.0.1"
    place = f"{name}:{odd.host.partition(':')[2]}"
    registry = OciRegistry(host="ghcr.io", timeout=2)
    with pytest.raises(RegistryRefused):
        registry.resolve(f"{place}/x", "1", None)
    with pytest.raises(RegistryRefused):
        registry.judge(f"{place}/x")
    assert odd.calls == []


@pytest.mark.case("X08")
def test_the_realm_of_the_configured_registry_is_at_its_own_place(odd: Odd) -> None:
    with Server(lambda method, target, headers, raw: Answer(200, {"token": "issued"})) as other:
        odd.manifest = odd.wants_token(realm=f"{other.url}/any")
        with pytest.raises(RegistryUnavailable, match="not supported"):
            OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())
    for realm in (
        f"http://me@{odd.host}/token",
        f"http://{odd.host}.evil.example/t",
        "http://[::1",
        "https:///x",
    ):
        odd.manifest = odd.wants_token(realm=realm)
        with pytest.raises(RegistryUnavailable, match="not supported"):
            OciRegistry(host=odd.host).resolve(odd.repository, "main", odd.login())


FAR = RegistryAddress("far.example/x", "far.example", "x", ("far.example",))


class _Far(HttpClient):
    """The server's client, where a registry somewhere else has given this first answer."""

    def __init__(self, real: HttpClient, first: Got) -> None:
        super().__init__()
        self._real = real
        self._first: Got | None = first

    def call(self, *arguments: Any, **options: Any) -> Got:
        given, self._first = self._first, None
        return given or self._real.call(*arguments, **options)


@pytest.mark.case("X08")
@pytest.mark.parametrize(
    "where", ["https://{odd}/any", "https://inside.example:{port}/any", "https://[::1]:{port}/"]
)
def test_neither_realm_nor_redirect_of_a_registry_elsewhere_leads_inside(
    odd: Odd, names: dict[str, str], where: str
) -> None:
    names["inside.example"] = "127.0.0.1"
    url = where.format(odd=odd.host, port=odd.host.partition(":")[2])
    moved = Got(307, {"location": url}, b"")
    challenged = Got(401, {"www-authenticate": f'Bearer realm="{url}"'}, b"")
    with open_client(inside=False, environment=True, timeout=2) as http:
        for first in (moved, challenged):
            client = OciClient(
                _Far(http, first),
                FAR.place,
                authorization="",
                may_ask=lambda realm: may_ask_realm(realm, FAR.host, plain=False),
            )
            with pytest.raises(RegistryRefused, match="leads to this server"), in_words(FAR, SHA):
                client.get(SHA, kind="blobs")
    assert odd.calls == []


def test_a_registry_that_the_settings_name_in_full_may_be_inside(odd: Odd) -> None:
    registry = OciRegistry(host="ghcr.io", named={"10.1.2.3:5000"}, timeout=0.2)
    registry.judge("10.1.2.3:5000/x")
    with pytest.raises(RegistryRefused):
        registry.judge("10.1.2.4:5000/x")


def test_what_one_login_has_seen_is_not_shown_to_another(odd: Odd) -> None:
    raw = as_json({"config": {"digest": SHA}, "layers": [{"digest": SHA, "size": 3}]})
    challenge = {"WWW-Authenticate": 'Basic realm="odd"'}
    odd.manifest = lambda method, proof: Answer(200, raw) if proof else Answer(401, b"", challenge)
    image, registry = Image(odd.repository, digest_of(raw)), OciRegistry(host=odd.host)
    assert registry.layers(image, odd.login()) == {SHA: 3}
    with pytest.raises(ImageNotFound):
        registry.layers(image, None)
    registry.require(image, odd.login())
    with pytest.raises(ImageNotFound):
        registry.require(image, None)
