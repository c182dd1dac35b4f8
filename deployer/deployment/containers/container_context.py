"""Dependencies of everything that rolls releases out as containers of one host."""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.config.settings import Config
from deployer.core.model import Credentials
from deployer.core.ports.clock import Clock
from deployer.core.ports.compose_renderer import ComposeRenderer
from deployer.core.ports.container_host import ContainerHost
from deployer.core.ports.registry import Registry
from deployer.core.ports.store import Store


@dataclass(frozen=True)
class ContainerContext:
    """Host, renderer, registry, store, clock, settings."""

    config: Config
    store: Store
    renderer: ComposeRenderer
    host: ContainerHost
    registry: Registry
    clock: Clock
    login: Credentials | None = None  # the server's own, for requests without one
