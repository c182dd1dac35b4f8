"""The server's settings: the reference file is complete and true, all else is refused by its path."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.core.auth.authorization import allows_image
from deployer.core.config.section import Section
from deployer.core.config.settings import App, Config, load_config
from deployer.core.errors import ConfigError, NotFound

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "config.toml"
REQUIRED = {"server.url", "apps.shop.repository", "apps.shop.repository-id", "apps.shop.owner-id"}
SHOP = "apps.shop"
PRODUCTION = "apps.shop.environments.production"


def reference() -> dict[str, Any]:
    return tomllib.loads(REFERENCE.read_text(encoding="utf-8"))


def least() -> dict[str, Any]:
    """Only what is required."""
    shop = {"repository": "acme/shop", "repository-id": 123456789, "owner-id": 987654}
    return {
        "server": {"url": "https://deploy.example.com"},
        "apps": {"shop": {**shop, "environments": {"production": {}}}},
    }


def leaves(table: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def table_at(table: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The table that holds the last key of `path`, and that key."""
    *folders, key = path.split(".")
    for folder in folders:
        table = table.setdefault(folder, {})
    return table, key


def with_value(path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(reference())
    table, key = table_at(changed, path)
    table[key] = value
    return changed


def without(path: str) -> dict[str, Any]:
    changed = copy.deepcopy(reference())
    table, key = table_at(changed, path)
    del table[key]
    return changed


def refusal(table: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(table)
    return caught.value


DOCUMENTED = sorted(leaves(reference()))


# --- the reference file


def test_the_reference_shows_the_defaults_of_the_smallest_configuration() -> None:
    assert load_config(reference()) == load_config(least())


@pytest.mark.parametrize("path", [path for path in DOCUMENTED if path not in REQUIRED])
def test_a_setting_left_out_has_the_value_that_the_reference_shows(path: str) -> None:
    assert load_config(without(path)) == load_config(reference())


@pytest.mark.parametrize("path", sorted(REQUIRED))
def test_a_setting_without_default_is_missed_by_its_path(path: str) -> None:
    error = refusal(without(path))
    assert error.path == path
    assert "is missing" in str(error)


def test_every_setting_that_is_read_is_documented_and_the_other_way_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: set[str] = set()
    for name in ("text", "integer", "flag", "texts"):
        real = getattr(Section, name)

        def spy(self: Section, key: str, *rest: Any, real: Any = real, **named: Any) -> Any:
            read.add(self.at(key))
            return real(self, key, *rest, **named)

        monkeypatch.setattr(Section, name, spy)
    load_config(reference())
    assert read == set(DOCUMENTED)


def test_every_setting_of_the_reference_has_a_comment() -> None:
    lines = REFERENCE.read_text(encoding="utf-8").splitlines()
    blocks = "\n".join(lines).split("\n\n")
    bare = [block for block in blocks if " = " in block and "#" not in block]
    assert bare == []


# --- values


def test_every_value_arrives_where_it_belongs() -> None:
    changes: dict[str, Any] = {
        "server.url": "https://d.example:8443/",
        "server.listen": "[::1]:9001",
        "server.state": "/srv/deployer",
        "server.store": "/srv/deployer/shared",
        "server.workers": 64,
        "server.deadline": 30,
        "server.trusted-proxies": ["10.0.0.0/8", "2001:db8::1"],
        "server.cors-origins": ["https://status.example", "http://localhost:5173"],
        "server.subnets": ["10.1.0.0/16"],
        "oidc.issuer": "https://ghe.example/_services/token",
        "registry.host": "registry.example",
        "registry.username": "robot",
        "registry.password-file": "/etc/deployer/password",
        "github.api": "https://ghe.example/api/v3/",
        "github.token-file": "/etc/deployer/token",
        "github.app-id": "Iv23abc",
        "github.app-key-file": "/etc/deployer/app.pem",
        "edge.image": "haproxy:3.2",
        f"{SHOP}.repository": "Acme/Shop.js",
        f"{SHOP}.repository-id": 1,
        f"{SHOP}.owner-id": 2,
        f"{SHOP}.images": ["registry.example/shop/*"],
        f"{SHOP}.other-images": ["docker.io/library/*"],
        f"{SHOP}.webhook-secret-files": ["/etc/deployer/new", "/etc/deployer/old"],
        f"{PRODUCTION}.project": "site",
        f"{PRODUCTION}.branch": "release/1",
        f"{PRODUCTION}.workflow": ".github/workflows/deploy.yml",
        f"{PRODUCTION}.packages": True,
        f"{PRODUCTION}.require-environment-claim": True,
        f"{PRODUCTION}.trust-tags": True,
        f"{PRODUCTION}.plans": True,
        f"{PRODUCTION}.compose": "deploy/compose.yaml",
        f"{PRODUCTION}.variables-file": "/etc/deployer/shop.env",
        f"{PRODUCTION}.url": "https://shop.example/",
        f"{PRODUCTION}.allow": ["bind:/srv/shop", "privileged"],
        f"{PRODUCTION}.releases": 9,
        f"{PRODUCTION}.certificates": "/etc/letsencrypt/live",
    }
    assert sorted(changes) == DOCUMENTED
    table = reference()
    for path, value in changes.items():
        inner, key = table_at(table, path)
        inner[key] = value
    config = load_config(table)
    app = config.app("shop")
    production = app.environment("production")
    server = (config.url, config.listen, config.state, config.workers, config.deadline, config.issuer)
    assert server == (
        "https://d.example:8443",
        "[::1]:9001",
        "/srv/deployer",
        64,
        30,
        "https://ghe.example/_services/token",
    )
    assert config.trusted_proxies == ("10.0.0.0/8", "2001:db8::1")
    assert config.cors_origins == ("https://status.example", "http://localhost:5173")
    assert config.subnets == ("10.1.0.0/16",)
    assert (config.registry_host, config.registry_username) == ("registry.example", "robot")
    assert (config.registry_password_file, config.edge_image) == ("/etc/deployer/password", "haproxy:3.2")
    assert (config.github_api, config.github_token_file) == (
        "https://ghe.example/api/v3",
        "/etc/deployer/token",
    )
    assert (app.repository, app.repository_id, app.owner_id) == ("Acme/Shop.js", 1, 2)
    assert (config.github_app_id, config.github_app_key_file) == ("Iv23abc", "/etc/deployer/app.pem")
    assert app.images == ("registry.example/shop/*",)
    assert (app.other_images, config.store) == (("docker.io/library/*",), "/srv/deployer/shared")
    assert app.webhook_secret_files == ("/etc/deployer/new", "/etc/deployer/old")
    assert (production.releases, production.certificates) == (9, "/etc/letsencrypt/live")
    assert (production.project, production.branch, production.protected) == ("site", "release/1", True)
    assert (production.workflow, production.compose) == (
        ".github/workflows/deploy.yml",
        "deploy/compose.yaml",
    )
    assert production.allow == ("bind:/srv/shop", "privileged")
    assert (production.variables_file, production.url) == ("/etc/deployer/shop.env", "https://shop.example")


def test_the_store_lies_in_the_state_folder_where_nothing_else_is_said() -> None:
    assert load_config({**least(), "server": {**least()["server"], "state": "/srv/d"}}).store == "/srv/d"


def test_the_images_default_is_the_repository_in_lower_case_on_the_configured_registry() -> None:
    table = least()
    table["registry"] = {"host": "r.example:5000"}
    table["apps"]["shop"]["repository"] = "Acme/Shop"
    assert load_config(table).app("shop").images == ("r.example:5000/acme/shop-*", "r.example:5000/acme/shop")


def test_the_project_default_tells_environments_apart() -> None:
    table = least()
    table["apps"]["shop"]["environments"]["staging"] = {}
    environments = load_config(table).app("shop").environments
    assert {name: item.project for name, item in environments.items()} == {
        "production": "shop",
        "staging": "shop-staging",
    }


# --- refusals


@pytest.mark.parametrize(
    "path",
    [
        "serve",
        "server.ur",
        "oidc.audience",
        "registry.password",
        "github.token",
        "edge.port",
        f"{SHOP}.environment",
        f"{PRODUCTION}.projekt",
    ],
)
def test_an_unknown_setting_is_refused_by_its_path(path: str) -> None:
    error = refusal(with_value(path, "x"))
    assert error.path == path
    assert "docs/reference/config.toml" in error.hint


@pytest.mark.parametrize("path", DOCUMENTED)
@pytest.mark.parametrize("value", [3.5, {"a": 1}, [1], [""]])
def test_a_value_of_another_type_is_refused_by_its_path(path: str, value: Any) -> None:
    assert refusal(with_value(path, value)).path == path


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("server.url", ["", "deploy.example.com", "ftp://x", "https://", "https://[::1", "https://x:y", 7]),
        ("server.url", ["https://x/hooks", "https://x?a=1", "https://x?", "https://x#a", "https://u:p@x"]),
        ("server.listen", ["", "9000", "127.0.0.1", "a b:1", "::1:9000", "x:999999", "x:99999", "x:0"]),
        ("server.state", ["", "state", "./state"]),
        (f"{PRODUCTION}.variables-file", ["shop.env", "./shop.env"]),
        (f"{PRODUCTION}.workflow", ["deploy.yml", "Deploy", "/.github/workflows/x.yml"]),
        ("server.workers", [0, 65, -1, True, "2"]),
        ("server.deadline", [29, 86_401, 60.0]),
        ("server.trusted-proxies", ["10.0.0.1", ["proxy"], ["10.0.0.1/8"], ["::1", "x"]]),
        ("server.cors-origins", ["*", ["*"], ["null"], ["x.example"], ["https://x/"], ["https://X"]]),
        ("server.cors-origins", [["https://u@x"], ["https://*.x.example", "https://x/y"]]),
        ("oidc.issuer", ["token.actions.githubusercontent.com", "https://["]),
        ("github.api", ["api.github.com"]),
        (f"{SHOP}.repository", ["", "shop", "acme/shop/x", "acme/", "ac me/shop", "acme/shop\n"]),
        (f"{SHOP}.repository-id", [0, -5, False, "1", 2**53 + 1]),
        (f"{SHOP}.owner-id", [0, None]),
        (f"{SHOP}.images", ["ghcr.io/x"]),
        (f"{PRODUCTION}.require-environment-claim", ["yes", 1]),
        (f"{PRODUCTION}.certificates", ["certificates", "./x", 1]),
        (f"{PRODUCTION}.url", ["shop.example", "ftp://shop.example", 1]),
        (f"{PRODUCTION}.project", ["", "Shop", "-shop", "shop_1", "s" * 64, "shop\n"]),
    ],
)  # fmt: skip
def test_a_value_that_cannot_work_is_refused_by_its_path(path: str, values: list[Any]) -> None:
    for value in values:
        assert refusal(with_value(path, value)).path == path, value


@pytest.mark.case("D01")
@pytest.mark.parametrize("name", ["Shop", "a_b", "-a", "", "a" * 64, "a.b", "a\n"])
def test_a_name_that_does_not_fit_urls_and_projects_is_refused(name: str) -> None:
    table = least()
    table["apps"] = {name: table["apps"]["shop"]}
    assert refusal(table).path == f"apps.{name}"
    table = least()
    table["apps"]["shop"]["environments"] = {name: {}}
    assert refusal(table).path == f"{SHOP}.environments.{name}"


@pytest.mark.parametrize("path", ["apps", f"{SHOP}.environments"])
@pytest.mark.parametrize("value", [{}, [], "x"])
def test_there_must_be_an_app_and_an_environment(path: str, value: Any) -> None:
    error = refusal(with_value(path, value))
    assert error.path == path
    assert f"[{path}.NAME]" in str(error)
    assert refusal(without(path)).path == path


@pytest.mark.parametrize("path", ["server", "oidc", "registry", "github", "edge", SHOP, PRODUCTION])
def test_a_value_in_a_tables_place_is_refused_by_its_path(path: str) -> None:
    error = refusal(with_value(path, "x"))
    assert (error.path, "should be a table" in str(error)) == (path, True)


@pytest.mark.parametrize("whole", [None, [], "server"])
def test_something_else_than_a_table_is_refused(whole: object) -> None:
    assert "should be a table" in str(refusal(whole))


def test_two_environments_on_one_project_are_refused_with_both_paths() -> None:
    table = least()
    table["apps"]["other"] = copy.deepcopy(table["apps"]["shop"])
    table["apps"]["other"]["environments"]["production"]["project"] = "shop"
    error = refusal(table)
    assert error.path == "apps.other.environments.production.project"
    assert f"{PRODUCTION}.project" in str(error)


# --- looking things up


def config() -> Config:
    return load_config(least())


def test_an_unknown_app_is_not_found_and_other_apps_are_not_told() -> None:
    with pytest.raises(NotFound) as caught:
        config().app("shop2")
    assert "shop2" in str(caught.value)
    assert "'shop'" not in caught.value.diagnostics()


def test_an_unknown_environment_is_not_found_and_the_known_ones_are_told() -> None:
    app: App = config().app("shop")
    with pytest.raises(NotFound, match="no environment 'prod'") as caught:
        app.environment("prod")
    assert caught.value.hint == "configured: production"


def test_misspelt_environments_are_told_as_that() -> None:
    table = least()
    table["apps"]["shop"]["environment"] = table["apps"]["shop"].pop("environments")
    with pytest.raises(ConfigError, match=r"apps\.shop\.environment: is not a known setting") as caught:
        load_config(table)
    assert caught.value.hint.startswith("is environments meant? ")


def test_half_an_app_in_a_misspelt_table_is_told_as_that() -> None:
    table = least()
    table["app"] = {"shop": {"environments": table["apps"]["shop"].pop("environments")}}
    with pytest.raises(ConfigError, match="app: is not a known setting") as caught:
        load_config(table)
    assert caught.value.hint.startswith("is apps meant? ")


@pytest.mark.parametrize(("wrong", "right"), [("app", "apps"), ("servr", "server"), ("git-hub", "github")])
def test_a_misspelt_table_is_told_with_the_one_that_was_meant(wrong: str, right: str) -> None:
    table = least() | {"github": {}}
    table[wrong] = table.pop(right)
    with pytest.raises(ConfigError, match=f"{wrong}: is not a known setting") as caught:
        load_config(table)
    assert caught.value.hint.startswith(f"is {right} meant? ")


def test_a_misspelt_setting_is_told_with_the_one_that_was_meant() -> None:
    table = least()
    del table["apps"]["shop"]["repository-id"]
    table["apps"]["shop"]["repositry-id"] = 7
    with pytest.raises(ConfigError, match=r"apps\.shop\.repository-id: is missing") as missing:
        load_config(table)
    assert missing.value.hint == "apps.shop.repositry-id is there: is it misspelt?"
    table = least()
    table["apps"]["shop"]["environments"]["production"]["varables-file"] = "/x"
    with pytest.raises(ConfigError, match=r"varables-file: is not a known setting") as unknown:
        load_config(table)
    assert unknown.value.hint == "is variables-file meant? docs/reference/config.toml lists all"


@pytest.mark.case("X13")
def test_x13_the_default_pattern_takes_in_no_image_of_another_apps_repository() -> None:
    table = least()
    table["apps"]["billing"] = {
        **table["apps"]["shop"],
        "repository": f"{table['apps']['shop']['repository']}-billing",
        "repository-id": 77,
        "environments": {"production": {"project": "billing"}},
    }
    config = load_config(table)
    shop, billing = config.app("shop"), config.app("billing")
    mine = f"ghcr.io/{shop.repository.lower()}"
    assert allows_image(shop, f"{mine}-web") and allows_image(billing, f"{mine}-billing-web")
    assert not allows_image(shop, f"{mine}-billing-web") and not allows_image(shop, f"{mine}-billing")
    table["apps"]["shop"]["images"] = [f"{mine}-*", f"{mine}"]
    table["apps"]["shop"]["images"].append(f"{mine}-x")
    assert allows_image(load_config(table).app("shop"), f"{mine}-billing-web"), "the settings say so"


def test_the_neighbourhood_has_every_project_of_every_app() -> None:
    table = least()
    names = {one.project for one in load_config(table).app("shop").environments.values()}
    assert load_config(table).neighbourhood.projects == names
