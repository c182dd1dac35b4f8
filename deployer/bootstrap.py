"""Composition root, the only module that names concrete adapters. In: the settings file's path. Out:
everything wired together, nothing started.

Several processes may be built on one state folder: the server, or its two halves, and commands beside it
share the database, and a lock per project keeps their rollouts apart. The half that the internet reaches is
built from the store's folder, the webhook secrets and the public sealing key, and loads nothing of the
engine.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from deployer.adapters.github.null_github import NoGitHub
from deployer.adapters.github.oidc_verifier import OidcVerifier
from deployer.adapters.sqlite.encryption import open_secret_store, read_sealing_key, show_sealing_key
from deployer.adapters.sqlite.store import SqliteStore
from deployer.adapters.system.clock import SystemClock
from deployer.adapters.system.config_file import read_config, read_secret, read_webhook_secrets
from deployer.adapters.system.env_file import open_names, read_variables
from deployer.adapters.system.file_lock import hold, is_held
from deployer.adapters.system.files import make_folder, sweep
from deployer.adapters.system.logging_setup import start_log
from deployer.adapters.system.malloc import share_memory
from deployer.adapters.system.state_folder import check_folder, check_state_folder
from deployer.core.config.settings import Config, Environment
from deployer.core.docker.compose_confinement import Means
from deployer.core.errors import ConfigError, DeployerError, StoreUnavailable
from deployer.core.model import Credentials, Deployment
from deployer.core.ports.github import GitHub
from deployer.core.registry_hosts import named_hosts
from deployer.core.reporting.log_fields import log_fields
from deployer.core.webhooks.redelivery import WebhookDeliveries
from deployer.deployment.containers.container_context import ContainerContext
from deployer.deployment.containers.container_target import ContainerTarget
from deployer.deployment.context import DeployContext
from deployer.deployment.plan_preview import preview
from deployer.ingress.missed_deliveries import recover
from deployer.ingress.receiver import Receipt, Receiver
from deployer.worker.announced_images import resolve_announcement
from deployer.worker.delegated_tasks import run_task
from deployer.worker.worker import Worker

if TYPE_CHECKING:
    from deployer.adapters.github.github_client import GitHubClient

CONFIG_VARIABLE = "DEPLOYER_CONFIG"
CONFIG_PATH = "/etc/deployer/config.toml"
_TAKEOVER = 15.0  # seconds that the previous server may take to end
_FIRST_START = 30.0  # seconds that the web process waits for a worker to create the store
_DATABASE, _SLOT, _KEYS = "deployer.db", "slot.pub", "jwks.json"
_WEB_LOCK, _WORKER_LOCK = "web.lock", "worker.lock"
_log = logging.getLogger("deployer.server")

__all__ = [
    "CONFIG_VARIABLE",
    "Server",
    "WebServer",
    "build",
    "build_web_server",
    "config_path",
    "load",
    "share_memory",
    "start_log",
]


@dataclass(frozen=True)
class WebServer:
    """The web server's dependencies, ready to be served."""

    config: Config
    store: SqliteStore
    receiver: Receiver

    @contextmanager
    def only_web(self) -> Iterator[None]:
        """Holds the web lock while answering. Raises Busy if another process answers for the same store."""
        store = Path(self.config.store)
        hint = "another `deployer serve` or `deployer web` uses the same store; stop one of them"
        with hold(store / _WEB_LOCK, wait=_TAKEOVER, hint=hint):
            sweep(store, deep=False)
            yield

    def has_worker(self) -> bool:
        """True if a process deploys the queued jobs."""
        return is_held(Path(self.config.store) / _WORKER_LOCK)

    def close(self) -> None:
        self.store.close()


@dataclass(frozen=True)
class Server(WebServer):
    """The dependencies of one server, ready to be started."""

    context: DeployContext
    worker: Worker
    github: GitHubClient | NoGitHub
    recover_missed: Callable[[], list[Receipt]] | None  # None: GitHub may not be asked

    @contextmanager
    def only_worker(self) -> Iterator[None]:
        """Holds the worker lock while deploying. Raises Busy if another process deploys for the
        same store.
        """
        state, store = Path(self.config.state), Path(self.config.store)
        hint = "another `deployer serve` or `deployer worker` uses the same store; stop one of them"
        with hold(store / _WORKER_LOCK, wait=_TAKEOVER, hint=hint):
            for name in ("bundles", "compose", "edge", "plans", "projects"):
                sweep(state / name)
            threading.Thread(target=_tell_compose, name="compose-version", daemon=True).start()
            yield

    def close(self) -> None:
        """Sends the pending reports to GitHub, then closes the database."""
        self.github.close(5.0)
        super().close()


def config_path(given: str = "") -> Path:
    """Returns the settings file: the given path, else the environment variable's, else the default."""
    return Path(given or os.environ.get(CONFIG_VARIABLE) or CONFIG_PATH)


def load(path: Path) -> Config:
    """Reads and checks settings, secret files and variables files. Raises ConfigError."""
    config = read_config(path)
    read_webhook_secrets(config)
    _login(config)
    _github_token(config)
    _github_app(config)
    for app in config.apps.values():
        for environment in app.environments.values():
            open_variables(environment)
    check_state_folder(Path(config.state))
    check_folder("server.store", Path(config.store), 0o007 if config.store != config.state else 0o077)
    return config


def open_variables(environment: Environment) -> dict[str, int]:
    """Returns the names that only a deploy can give to the environment's variables file, each with a line
    that names it. Raises ConfigError.
    """
    return open_names(environment.variables_file)


def describe_compose() -> str:
    """Returns Compose's version and the confinement in force. Raises CommandFailed if it does not start
    there.
    """
    from deployer.adapters.docker.compose.compose_process import ComposeProcess

    process = ComposeProcess()
    return f"docker compose {process.version()} is {process.confinement}"


def _tell_compose() -> None:
    from deployer.adapters.system.confined_process import find_confinement

    means = find_confinement().means
    told = log_fields("confinement", means=means.value)
    try:
        _log.log(logging.WARNING if means is Means.NONE else logging.INFO, describe_compose(), extra=told)
    except DeployerError as error:
        _log.error("%s", error.diagnostics(), extra=told)


def load_reception(path: Path) -> Config:
    """Reads the settings and, of the secrets, only the webhook secrets. Raises ConfigError."""
    config = read_config(path)
    read_webhook_secrets(config)
    check_folder("server.store", Path(config.store), 0o007)
    return config


def build_web_server(path: Path) -> WebServer:
    """Builds the web server's half. Raises ConfigError or StoreUnavailable."""
    config = load_reception(path)
    folder = Path(config.store)
    end = time.monotonic() + _FIRST_START
    while (sealing_key := read_sealing_key(folder / _SLOT)) is None:
        if time.monotonic() > end:
            raise StoreUnavailable(
                f"{folder} holds no {_SLOT} yet",
                hint="start `deployer worker` with these settings: it creates the file",
            )
        time.sleep(0.1)
    store = SqliteStore(folder / _DATABASE, sealing_key)
    return WebServer(config, store, _receiver(config, store))


def build(path: Path) -> Server:
    """Builds the whole server. Raises ConfigError, EngineUnavailable or StoreUnavailable."""
    config = load(path)
    state, folder = Path(config.state), Path(config.store)
    make_folder(state)
    make_folder(folder)
    secret_store = open_secret_store(state / "key")
    store = SqliteStore(folder / _DATABASE, secret_store)
    show_sealing_key(secret_store.sealing_key, folder / _SLOT)
    github = _github(config, store)
    context = _deploy_context(config, store, github)
    receiver = replace(
        _receiver(config, store),
        preview=lambda job: preview(job, context),
        resolve_announcement=lambda jobs: resolve_announcement(jobs, context),
    )
    hook_log = _hook_log(config)
    look = partial(recover, receiver, hook_log) if hook_log else None
    worker = Worker(context, look, partial(run_task, context))
    store.queue.queued = worker.wake
    return Server(config, store, receiver, context, worker, github, look)


def _deploy_context(config: Config, store: SqliteStore, github: GitHub) -> DeployContext:
    """Returns the dependencies of deployments, whose target is the Docker engine."""
    # Imported here, because the web process must not even load code that talks to an engine.
    from deployer.adapters.docker.compose.compose_cli import Compose
    from deployer.adapters.docker.engine import Engine
    from deployer.adapters.docker.host.docker_host import PortProber, docker_host
    from deployer.adapters.registry.oci_registry import OciRegistry

    state = Path(config.state)
    engine, compose = Engine(listen=config.listen), Compose(state)
    containers = ContainerContext(
        config=config,
        store=store,
        renderer=compose.renderer,
        host=docker_host(engine, compose, state, config.edge_image, _certificates(config)),
        registry=OciRegistry(host=config.registry_host, named=_named(config)),
        clock=SystemClock(),
        login=_login(config),
    )
    return DeployContext(
        config=config,
        store=store,
        renderer=compose.renderer,
        target=ContainerTarget(containers),
        prober=PortProber(engine),
        registry=containers.registry,
        github=github,
        clock=containers.clock,
        variables=read_variables,
        login=containers.login,
    )


def _receiver(config: Config, store: SqliteStore) -> Receiver:
    return Receiver(
        config=config,
        store=store,
        verify_token=OidcVerifier(config.issuer, Path(config.store) / _KEYS).verify_token,
        secrets=read_webhook_secrets(config),
        clock=SystemClock(),
    )


def _named(config: Config) -> frozenset[str]:
    """Returns the registries that the operator names in full beside the configured one."""
    apps = config.apps.values()
    return named_hosts(text for app in apps for text in (*app.images, *app.other_images))


def _certificates(config: Config) -> dict[str, str]:
    """Returns project → folder of certificates, for the environments that have one."""
    environments = (one for app in config.apps.values() for one in app.environments.values())
    return {one.project: one.certificates for one in environments if one.certificates}


def _login(config: Config) -> Credentials | None:
    if bool(config.registry_username) != bool(config.registry_password_file):
        raise ConfigError("registry", "username and password-file should be given together")
    if not config.registry_username:
        return None
    password = read_secret(config.registry_password_file, "registry.password-file")
    return Credentials(config.registry_host, config.registry_username, password)


def _github_token(config: Config) -> str:
    return read_secret(config.github_token_file, "github.token-file") if config.github_token_file else ""


def _hook_log(config: Config) -> WebhookDeliveries | None:
    """Returns None if GitHub may not be asked: no token and no app, or no app of this server
    takes webhooks.
    """
    repositories = [app.repository for app in config.apps.values() if app.webhook_secret_files]
    token, app = _github_token(config), _github_app(config)
    if not repositories or not (token or app):
        return None
    from deployer.adapters.github.webhook_deliveries import GitHubWebhookDeliveries

    return GitHubWebhookDeliveries(
        api=config.github_api,
        address=f"{config.url}/webhook",
        repositories=repositories,
        token=token,
        app=app,
    )


def _github_app(config: Config) -> tuple[str, str] | None:
    if bool(config.github_app_id) != bool(config.github_app_key_file):
        raise ConfigError("github", "app-id and app-key-file should be given together")
    if not config.github_app_id:
        return None
    return config.github_app_id, read_secret(config.github_app_key_file, "github.app-key-file")


def _github(config: Config, store: SqliteStore) -> GitHubClient | NoGitHub:
    token = _github_token(config)
    if not token:
        return NoGitHub()
    from deployer.adapters.github.github_client import GitHubClient

    def address(deployment: Deployment) -> str:
        return config.app(deployment.app).environment(deployment.environment).url

    return GitHubClient(api=config.github_api, token=token, ledger=store.github_ids, environment_url=address)
