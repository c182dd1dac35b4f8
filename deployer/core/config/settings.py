"""The server's settings. In: the dict of one TOML file. Out: `Config`, complete and cross-checked, or
ConfigError.

Secrets are in files that the settings name; their contents never pass through here.
`docs/reference/config.toml` holds every setting with its default and is a test fixture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from deployer.core.config.section import Section
from deployer.core.errors import ConfigError, NotFound
from deployer.core.http.client_address import read_networks
from deployer.core.model import DEPLOY_DEADLINE
from deployer.core.names import NAME
from deployer.core.permissions.grants import GRANTS, is_grant
from deployer.core.permissions.host_access import PRIVATE_SUBNETS
from deployer.core.permissions.project_permissions import Neighbourhood

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_WORKFLOW = re.compile(r"\.github/workflows/[^/\s]+\.ya?ml")
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
GITHUB_API = "https://api.github.com"
PROXIES = ("127.0.0.1", "::1")  # only a client on this machine can connect from there
EDGE_IMAGE = "haproxy:3.0-alpine"


@dataclass(frozen=True)
class Environment:
    """Environment of an app: its project, branch and conditions."""

    name: str
    project: str
    branch: str
    workflow: str  # path of the only workflow file that may deploy here; empty: any
    packages: bool  # an image that the registry announces may complete a release and deploy it
    protected: bool  # the OIDC token must carry this environment's name
    trust_tags: bool  # a tag of the registry alone may say which image is deployed
    plans: bool  # a pull request may ask what its merge would change
    compose: str  # path of the Compose file in the repository, for deploys without one
    variables_file: str
    url: str
    allow: tuple[str, ...]  # host privileges that the Compose file may ask for, as `grants.py` spells them
    releases: int = 5  # number of kept releases, including the serving one
    certificates: str = ""  # the folder of certificates with which the edge ends TLS


@dataclass(frozen=True)
class App:
    """Application of one repository."""

    name: str
    repository: str
    repository_id: int
    owner_id: int
    images: tuple[str, ...]  # patterns of repositories its built images may come from; `*` spans no `/`
    other_images: tuple[str, ...]  # and of those that its Compose file may name; none: any
    webhook_secret_files: tuple[str, ...]
    environments: Mapping[str, Environment]
    other_repositories: tuple[str, ...] = ()  # of apps with this app's repository name as a prefix

    def environment(self, name: str) -> Environment:
        """Returns the environment. Raises NotFound with the names of the configured ones."""
        if name not in self.environments:
            known = ", ".join(self.environments)
            raise NotFound(f"app {self.name} has no environment {name!r}", hint=f"configured: {known}")
        return self.environments[name]


@dataclass(frozen=True)
class Config:
    """All settings of one server."""

    url: str
    listen: str
    state: str
    store: str  # the folder of the database; the state folder, or one that the web process shares
    workers: int
    deadline: int
    issuer: str
    registry_host: str
    registry_username: str
    registry_password_file: str
    github_api: str
    github_token_file: str
    github_app_id: str
    github_app_key_file: str
    edge_image: str
    trusted_proxies: tuple[str, ...]  # addresses and networks whose X-Forwarded-For is believed
    cors_origins: tuple[str, ...]
    subnets: tuple[str, ...]  # that networks of Compose files may take without a grant
    apps: Mapping[str, App]

    @property
    def neighbourhood(self) -> Neighbourhood:
        """Surroundings by which every project's names and subnets are judged."""
        projects = (one.project for app in self.apps.values() for one in app.environments.values())
        return Neighbourhood(frozenset(projects), self.subnets)

    def app(self, name: str) -> App:
        """Returns the app. Raises NotFound; the answer does not list other apps."""
        if name not in self.apps:
            raise NotFound(f"no app {name!r} on this server", hint="`deployer config check` lists the apps")
        return self.apps[name]


def load_config(table: object) -> Config:
    """Converts `tomllib`'s dict to Config. Raises ConfigError for the first wrong setting."""
    top = Section(table, "")
    top.only("server", "oidc", "registry", "github", "edge", "apps")
    server, oidc, registry = top.section("server"), top.section("oidc"), top.section("registry")
    github, edge = top.section("github"), top.section("edge")
    host = registry.text("host", "ghcr.io")
    state = _absolute(server, "state", "/var/lib/deployer")
    config = Config(
        url=_origin(server, "url"),
        listen=_address(server, "listen"),
        state=state,
        store=_absolute(server, "store", state),
        workers=server.integer("workers", 2, least=1, most=64),
        deadline=server.integer("deadline", DEPLOY_DEADLINE, least=30, most=86_400),
        issuer=_url(oidc, "issuer", GITHUB_ISSUER),
        registry_host=host,
        registry_username=registry.text("username", ""),
        registry_password_file=registry.text("password-file", ""),
        github_api=_url(github, "api", GITHUB_API),
        github_token_file=github.text("token-file", ""),
        github_app_id=github.text("app-id", ""),
        github_app_key_file=github.text("app-key-file", ""),
        edge_image=edge.text("image", EDGE_IMAGE),
        trusted_proxies=_networks(server, "trusted-proxies", PROXIES),
        cors_origins=_origins(server, "cors-origins"),
        subnets=_networks(server, "subnets", PRIVATE_SUBNETS),
        apps={name: _app(name, section, host) for name, section in top.sections("apps")},
    )
    for section in (server, oidc, registry, github, edge):
        section.end()
    _check_unique(config)
    return replace(config, apps={name: _apart(app, config.apps, host) for name, app in config.apps.items()})


def _apart(app: App, apps: Mapping[str, App], registry: str) -> App:
    """Returns the app without images of another app's repository that its default pattern would match:
    `acme/shop-*` fits `acme/shop-billing`.
    """
    mine = app.repository.lower()
    if app.images != _default_images(registry, mine):
        return app
    longer = {other.repository.lower() for other in apps.values()} - {mine}
    return replace(
        app,
        other_repositories=tuple(
            f"{registry}/{name}" for name in sorted(longer) if name.startswith(f"{mine}-")
        ),
    )


def _default_images(registry: str, repository: str) -> tuple[str, ...]:
    return (f"{registry}/{repository}-*", f"{registry}/{repository}")


def _app(name: str, section: Section, registry: str) -> App:
    _check_name(section.path, name)
    repository = section.text("repository")
    if not _REPOSITORY.fullmatch(repository):
        raise ConfigError(section.at("repository"), "should be OWNER/REPOSITORY")
    app = App(
        name=name,
        repository=repository,
        repository_id=section.integer("repository-id", least=1),
        owner_id=section.integer("owner-id", least=1),
        images=section.texts("images", _default_images(registry, repository.lower())),
        other_images=section.texts("other-images"),
        webhook_secret_files=section.texts("webhook-secret-files"),
        environments={key: _environment(name, key, sub) for key, sub in section.sections("environments")},
    )
    section.end()
    return app


def _environment(app: str, name: str, section: Section) -> Environment:
    _check_name(section.path, name)
    environment = Environment(
        name=name,
        project=section.text("project", app if name == "production" else f"{app}-{name}"),
        branch=section.text("branch", "main"),
        workflow=_workflow(section),
        packages=section.flag("packages"),
        protected=section.flag("require-environment-claim"),
        trust_tags=section.flag("trust-tags"),
        plans=section.flag("plans"),
        compose=section.text("compose", "compose.yaml"),
        variables_file=_absolute(section, "variables-file", ""),
        url=_url(section, "url", ""),
        allow=section.texts("allow"),
        releases=section.integer("releases", 5, least=1, most=1000),
        certificates=_absolute(section, "certificates", ""),
    )
    for grant in environment.allow:
        if not is_grant(grant):
            raise ConfigError(section.at("allow"), f"{grant!r} is not a known grant", hint=GRANTS)
    _check_name(section.at("project"), environment.project)
    section.end()
    return environment


def _workflow(section: Section) -> str:
    """Returns the workflow's path: GitHub names a workflow by its whole path, so a run can match nothing
    else.
    """
    path = section.text("workflow", "")
    if path and not _WORKFLOW.fullmatch(path):
        raise ConfigError(
            section.at("workflow"),
            f"{path!r} is no workflow's path",
            hint='as in ".github/workflows/deploy.yml"',
        )
    return path


def _check_name(path: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(path, f"{name!r} should be lower-case letters, digits and hyphens, at most 63")


def _check_unique(config: Config) -> None:
    seen: dict[str, str] = {}
    for app in config.apps.values():
        for environment in app.environments.values():
            path = f"apps.{app.name}.environments.{environment.name}.project"
            if environment.project in seen:
                raise ConfigError(path, f"{environment.project!r} is taken by {seen[environment.project]}")
            seen[environment.project] = path


def _url(section: Section, key: str, default: str | None = None) -> str:
    """Returns the URL without a trailing slash, so that both spellings are equal."""
    value = section.text(key, default).rstrip("/")
    if not _is_url(value) and value != default:
        raise ConfigError(section.at(key), "should be a URL, https://HOST")
    return value


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a broken IPv6 address, a port that is no number
        return False


def _networks(section: Section, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    values = section.texts(key, default)
    try:
        read_networks(values)
    except ValueError as error:
        raise ConfigError(section.at(key), f"should be addresses or networks: {error}") from None
    return values


def _origins(section: Section, key: str) -> tuple[str, ...]:
    values = section.texts(key)
    if not all(_is_url(value) and _is_origin(value) for value in values):
        raise ConfigError(section.at(key), "should be origins as a browser sends them, https://HOST")
    return values


def _is_origin(value: str) -> bool:
    parts = urlsplit(value)
    return value == f"{parts.scheme}://{parts.netloc}".lower() and "@" not in value


def _origin(section: Section, key: str) -> str:
    value = _url(section, key)
    parts = urlsplit(value)
    if value != f"{parts.scheme}://{parts.netloc}" or "@" in value:
        raise ConfigError(section.at(key), "should be an origin without a path, https://HOST")
    return value


def _address(section: Section, key: str) -> str:
    value = section.text(key, "127.0.0.1:9000")
    if not re.fullmatch(r"(?:[^:\s]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}", value) or not _is_url(f"http://{value}"):
        raise ConfigError(section.at(key), "should be ADDRESS:PORT")
    return value


def _absolute(section: Section, key: str, default: str) -> str:
    value = section.text(key, default)
    if not value.startswith("/") and (value or default):
        raise ConfigError(section.at(key), "should be an absolute path")
    return value
