"""Image references: what is one, what its parts are, and which names a release's images get."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.errors import PayloadRejected
from deployer.core.images import (
    Image,
    is_tag,
    parse_image,
    repository_of,
    revision_tag,
    split_host,
    split_tag,
)

HEX = "ab" * 32
DIGEST = f"sha256:{HEX}"
REPOSITORIES = st.from_regex(
    r"([a-z0-9]{1,5}(\.[a-z0-9]{1,5})?(:[0-9]{1,4})?/)?[a-z0-9]{1,5}([._-][a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,5}){0,2}",
    fullmatch=True,
)


@pytest.mark.parametrize(
    ("text", "repository"),
    [
        (f"nginx@{DIGEST}", "nginx"),
        (f"ghcr.io/acme/shop-web@{DIGEST}", "ghcr.io/acme/shop-web"),
        (f"ghcr.io/acme/shop-web:main@{DIGEST}", "ghcr.io/acme/shop-web"),
        (f"127.0.0.1:5000/web:v1@{DIGEST}", "127.0.0.1:5000/web"),
        (f"[::1]:5000/web@{DIGEST}", "[::1]:5000/web"),
        (f"Registry.Example/a__b/c-d.e@{DIGEST}", "Registry.Example/a__b/c-d.e"),
    ],
)
def test_an_image_by_digest_is_read_and_its_tag_dropped(text: str, repository: str) -> None:
    assert parse_image(text) == Image(repository, DIGEST)


@pytest.mark.case("D03")
@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "nginx",
        "nginx:1.27",
        f"@{DIGEST}",
        f"nginx@{DIGEST}@{DIGEST}",
        f"nginx@sha256:{HEX[:-1]}",
        f"nginx@sha256:{HEX}0",
        f"nginx@sha256:{HEX.upper()}",
        f"nginx@sha512:{HEX}",
        f"nginx@{DIGEST}\n",
        f"nginx\n@{DIGEST}",
        f"Acme/Web@{DIGEST}",
        f"ghcr.io/acme/@{DIGEST}",
        f"ghcr.io//web@{DIGEST}",
        f"ghcr.io/../web@{DIGEST}",
        f"ghcr.io/acme web@{DIGEST}",
        f"--help@{DIGEST}",
        f"-v/web@{DIGEST}",
        f"https://ghcr.io/acme/web@{DIGEST}",
        f"{'a' * 500}@{DIGEST}",
    ],
)
def test_anything_else_is_no_image(text: object) -> None:
    with pytest.raises(PayloadRejected):
        parse_image(text)


@pytest.mark.case("D03")
def test_a_tag_instead_of_a_digest_is_told_why() -> None:
    with pytest.raises(PayloadRejected) as caught:
        parse_image("ghcr.io/acme/web:main")
    assert "tags can move" in caught.value.hint


@given(REPOSITORIES, st.text("0123456789abcdef", min_size=64, max_size=64))
def test_an_image_reads_back_from_its_own_text(repository: str, digits: str) -> None:
    image = Image(repository, f"sha256:{digits}")
    assert parse_image(str(image)) == image
    assert image.short == digits[:12]


@given(st.text(max_size=600))
def test_any_text_is_an_image_or_refused(text: str) -> None:
    with contextlib.suppress(PayloadRejected):
        assert parse_image(text).digest in text


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("nginx", ("nginx", "")),
        ("nginx:1.27", ("nginx", "1.27")),
        ("host:5000/a/b", ("host:5000/a/b", "")),
        ("host:5000/a/b:tag", ("host:5000/a/b", "tag")),
    ],
)
def test_a_port_is_no_tag(name: str, parts: tuple[str, str]) -> None:
    assert split_tag(name) == parts


@pytest.mark.parametrize(
    ("repository", "parts"),
    [
        ("nginx", ("docker.io", "library/nginx")),
        ("acme/web", ("docker.io", "acme/web")),
        ("docker.io/acme/web", ("docker.io", "acme/web")),
        ("ghcr.io/acme/web", ("ghcr.io", "acme/web")),
        ("localhost/web", ("localhost", "web")),
        ("registry:5000/web", ("registry:5000", "web")),
    ],
)
def test_the_host_is_told_from_the_name_as_docker_does(repository: str, parts: tuple[str, str]) -> None:
    assert split_host(repository) == parts


def test_a_revisions_tag_holds_all_its_digits_and_is_a_tag() -> None:
    tag = revision_tag("0123456789abcdef0123456789abcdef01234567")
    assert tag == "sha-0123456789abcdef0123456789abcdef01234567"
    assert is_tag(tag)


@pytest.mark.parametrize("text", ["", "-x", ".x", "a/b", "a b", "x" * 129, "x\n", "ü"])
def test_what_no_registry_takes_is_no_tag(text: str) -> None:
    assert not is_tag(text)


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("", "ghcr.io/acme/shop-web"),
        ("ghcr.io/other/site:v1", "ghcr.io/other/site"),
        (f"ghcr.io/other/site:v1@{DIGEST}", "ghcr.io/other/site"),
        ("GHCR.io/Other/Site", "ghcr.io/other/site"),
    ],
)
def test_a_built_services_repository_is_the_named_one_or_made_from_the_source(
    image: str, repository: str
) -> None:
    assert (
        repository_of("web", image, registry="ghcr.io", source="Acme/Shop", compose="compose.yaml")
        == repository
    )


@pytest.mark.parametrize(("service", "image"), [("web", "${IMAGE}"), ("web", ":v1"), ("-web-", "")])
def test_a_built_service_that_gives_no_usable_repository_is_named(service: str, image: str) -> None:
    with pytest.raises(PayloadRejected, match=service):
        repository_of(service, image, registry="ghcr.io", source="acme/shop", compose="compose.yaml")
