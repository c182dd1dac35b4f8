"""The only room that names concrete adapters. In: the settings file's path. Out: everything wired together,
nothing started.

Two processes may be built on one state folder: the server and a command beside it share the database, and a
lock per project keeps their rollouts apart.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deployer.adapters.clock import SystemClock
from deployer.adapters.compose import Compose
from deployer.adapters.config_file import read_config, read_secret, read_webhook_secrets
from deployer.adapters.docker_target import DockerTarget
from deployer.adapters.engine import Engine
from deployer.adapters.files import make_folder, sweep
from deployer.adapters.lock import hold
from deployer.adapters.log import start_log
from deployer.adapters.memory import share_memory
from deployer.adapters.no_forge import NoForge
from deployer.adapters.oidc import OidcVerifier
from deployer.adapters.registry import OciRegistry
from deployer.adapters.store import SqliteStore
from deployer.adapters.variables import read_variables
from deployer.adapters.vault import open_vault
from deployer.core.config import Config
from deployer.core.errors import ConfigError
from deployer.core.model import Credentials, Deployment
from deployer.hint import resolve_hint
from deployer.intake import Intake
from deployer.preview import preview
from deployer.worker import Worker
from deployer.world import World

if TYPE_CHECKING:
    from deployer.adapters.github import GithubForge

CONFIG_VARIABLE = "DEPLOYER_CONFIG"
CONFIG_PATH = "/etc/deployer/config.toml"
_LONGEST_SOCKET = 107  # bytes a Unix socket's path may have
_LONGEST_PROJECT = 63
_TAKEOVER = 15.0  # seconds the server before may take to end

__all__ = ["CONFIG_VARIABLE", "Parts", "build", "config_path", "load", "share_memory", "start_log"]


@dataclass(frozen=True)
class Parts:
    """One server, ready to be started."""

    config: Config
    store: SqliteStore
    intake: Intake
    world: World
    worker: Worker
    forge: GithubForge | NoForge

    @contextmanager
    def only_one(self) -> Iterator[None]:
        """Held while serving; raises Busy when another server works on the same state folder."""
        state = Path(self.config.state)
        with hold(state / "serve.lock", wait=_TAKEOVER):
            sweep(state)
            yield

    def close(self) -> None:
        """Sends what still waits for GitHub, then closes the database."""
        self.forge.close(5.0)
        self.store.close()


def config_path(given: str = "") -> Path:
    """The settings file: as given, else as the environment says, else the usual place."""
    return Path(given or os.environ.get(CONFIG_VARIABLE) or CONFIG_PATH)


def load(path: Path) -> Config:
    """Settings, secret files and variables files, all read and checked. Raises ConfigError."""
    config = read_config(path)
    read_webhook_secrets(config)
    _login(config)
    _forge_token(config)
    for app in config.apps.values():
        for environment in app.environments.values():
            read_variables(environment.variables_file)
    _check_state(Path(config.state))
    return config


def _check_state(state: Path) -> None:
    """What it holds keeps others out by the folder alone: models with variables, what containers mount."""
    if len(f"{state}/edge/{'x' * _LONGEST_PROJECT}/master.sock") > _LONGEST_SOCKET:
        raise ConfigError(
            "server.state", f"{state} is too long a path for a socket", hint="/var/lib/deployer fits"
        )
    try:
        mode = state.stat().st_mode
    except FileNotFoundError:  # made at the first start
        return
    except OSError as error:
        raise ConfigError("server.state", f"{state} cannot be read: {error.strerror}") from None
    if not stat.S_ISDIR(mode):
        raise ConfigError("server.state", f"{state} is not a folder")
    if mode & 0o077:
        raise ConfigError("server.state", f"{state} is open to others", hint=f"chmod 700 {state}")


def build(path: Path) -> Parts:
    """Raises ConfigError, EngineUnavailable or StoreUnavailable."""
    config = load(path)
    state = Path(config.state)
    make_folder(state)
    store = SqliteStore(state / "deployer.db", open_vault(state / "key"))
    clock = SystemClock()
    login = _login(config)
    forge = _forge(config, store)
    world = World(
        config=config,
        store=store,
        target=DockerTarget(Engine(), Compose(state), state, config.edge_image),
        registry=OciRegistry(login),
        forge=forge,
        clock=clock,
        variables=read_variables,
        login=login,
    )
    intake = Intake(
        config=config,
        store=store,
        verify_token=OidcVerifier(config.issuer, state / "jwks.json").verify_token,
        secrets=read_webhook_secrets(config),
        clock=clock,
        preview=lambda wish: preview(wish, world),
        resolve_hint=lambda wishes: resolve_hint(wishes, world),
    )
    return Parts(config, store, intake, world, Worker(world), forge)


def _login(config: Config) -> Credentials | None:
    if bool(config.registry_username) != bool(config.registry_password_file):
        raise ConfigError("registry", "username and password-file should be given together")
    if not config.registry_username:
        return None
    password = read_secret(config.registry_password_file, "registry.password-file")
    return Credentials(config.registry_host, config.registry_username, password)


def _forge_token(config: Config) -> str:
    return read_secret(config.github_token_file, "github.token-file") if config.github_token_file else ""


def _forge(config: Config, store: SqliteStore) -> GithubForge | NoForge:
    token = _forge_token(config)
    if not token:
        return NoForge()
    from deployer.adapters.github import GithubForge  # noqa: PLC0415 - only who uses it pays its 6 MB

    def address(deployment: Deployment) -> str:
        return config.app(deployment.app).environment(deployment.environment).url

    return GithubForge(api=config.github_api, token=token, ledger=store, environment_url=address)
