"""Names of built images, and which service runs which build: one rule for runner and server."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from deployer.core.build.service_builds import built_repositories, makers_of
from deployer.core.errors import ImageOfAnother
from deployer.core.images import canonical, repository_of
from deployer.core.release.image_labels import COMPOSE_LABEL, SERVICE_LABEL, SOURCE_LABEL, judge_labels

PLACES = [
    ("compose.yaml", "web"),
    ("compose.yaml", "api-v2"),
    ("apps/shop/compose.yaml", "web"),
    ("apps/admin/docker-compose.yml", "web"),
    ("apps-shop/compose.yaml", "web"),
    ("apps/shop/compose.yaml", "api-v2"),
    ("apps/compose.yaml", "shop-web"),
    ("apps/shop-api/compose.yaml", "v2"),
    ("apps/shop/api/compose.yaml", "v2"),
    ("apps.shop/compose.yaml", "web"),
    ("apps_shop/compose.yaml", "web"),
    ("Apps/Shop/compose.yaml", "web"),
    ("apps/shop/stack.yaml", "web"),
    ("apps/shop/stack/compose.yaml", "web"),
    ("compose.prod.yaml", "web"),
    ("prod/compose.yaml", "web"),
    ("bücher/compose.yaml", "web"),
    ("書/compose.yaml", "web"),
]


def named(compose: str, service: str) -> str:
    return repository_of(service, "", registry="ghcr.io", source="Acme/Shop", compose=compose)


@pytest.mark.case("H02")
def test_no_two_places_of_a_repository_share_a_name() -> None:
    names = {place: named(*place) for place in PLACES}
    for one, other in combinations(PLACES, 2):
        assert names[one] != names[other]
    assert all(name.startswith("ghcr.io/acme/shop-") and name.count("/") == 2 for name in names.values())


@pytest.mark.case("H02")
@pytest.mark.parametrize(
    ("compose", "service", "name"),
    [
        ("compose.yaml", "web", "web"),
        ("docker-compose.yml", "web-api", "web-api"),
        ("apps/shop/compose.yaml", "web", "apps-shop-web"),
        ("deploy/docker-compose.yaml", "api", "deploy-api"),
    ],
)
def test_the_plain_names_read_as_folder_and_service(compose: str, service: str, name: str) -> None:
    assert named(compose, service) == f"ghcr.io/acme/shop-{name}"


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("acme/app", "docker.io/acme/app"),
        ("acme/app:1.2", "docker.io/acme/app"),
        ("docker.io/acme/app", "docker.io/acme/app"),
        ("index.docker.io/acme/app:x", "docker.io/acme/app"),
        ("nginx", "docker.io/library/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("GHCR.io/Acme/App", "ghcr.io/acme/app"),
        ("localhost:5000/app:2", "localhost:5000/app"),
        (f"ghcr.io/acme/app:1@sha256:{'a' * 64}", "ghcr.io/acme/app"),
    ],
)
def test_a_reference_has_one_spelling(reference: str, name: str) -> None:
    assert canonical(reference) == name


def makers(services: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    place = {"registry": "ghcr.io", "source": "acme/shop", "compose": "compose.yaml"}
    return makers_of(services, built_repositories(services, **place))


@pytest.mark.case("H05")
@pytest.mark.parametrize(
    ("built", "named", "same"),
    [
        ("ghcr.io/acme/app", "ghcr.io/acme/app", True),
        ("ghcr.io/acme/app:1", "ghcr.io/acme/app:2", True),
        ("GHCR.io/acme/App", "ghcr.io/acme/app", True),
        ("acme/app", "docker.io/acme/app:x", True),
        ("docker.io/acme/app", "acme/app", True),
        ("localhost:5000/app", "localhost:5000/app:latest", True),
        ("localhost:5000/app", "localhost:5001/app", False),
        ("ghcr.io/acme/app", "ghcr.io/acme/application", False),
        ("ghcr.io/acme/app", f"ghcr.io/acme/app@sha256:{'a' * 64}", False),
        ("", "ghcr.io/acme/shop-web", True),
        ("", "postgres", False),
    ],
)
def test_a_service_that_names_a_built_image_gets_that_build(built: str, named: str, same: bool) -> None:
    services = {"web": {"image": built, "build": {}}, "worker": {"image": named, "platform": "linux/amd64"}}
    assert makers(services) == ({"web": ("web",), "worker": ("web",)} if same else {"web": ("web",)})


@pytest.mark.case("H05")
def test_two_builders_of_one_image_are_both_its_makers() -> None:
    services = {name: {"image": "acme/app", "build": {}} for name in ("web", "api")}
    assert makers({**services, "worker": {"image": "acme/app"}}) == {
        "web": ("web", "api"),
        "api": ("api", "web"),
        "worker": ("web", "api"),
    }


@pytest.mark.case("H02")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({SOURCE_LABEL: "https://github.example.com/ACME/shop/"}, ""),
        ({SOURCE_LABEL: "https://github.com/acme/other"}, "the repository 'acme/other'"),
        ({COMPOSE_LABEL: "apps/admin/compose.yaml"}, "the Compose file 'apps/admin/compose.yaml'"),
        ({SERVICE_LABEL: "api"}, "the service 'api'"),
    ],
)
def test_an_image_of_another_place_is_refused_with_words(change: dict[str, str], words: str) -> None:
    own = {SOURCE_LABEL: "https://github.com/acme/shop", COMPOSE_LABEL: "apps/shop/compose.yaml"}
    labels = {**own, SERVICE_LABEL: "web", **change}

    def judge() -> None:
        judge_labels(labels, "x:sha-1", "Acme/Shop", "apps/shop/compose.yaml", ["web"])

    if words:
        with pytest.raises(ImageOfAnother, match=words):
            judge()
    else:
        judge()


def test_an_image_without_the_actions_labels_is_not_judged_by_them() -> None:
    judge_labels({SOURCE_LABEL: "https://github.com/x/y"}, "x", "acme/shop", "compose.yaml", ["web"])
