"""Dependencies of one deployment: store, target, registry, GitHub, clock, settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deployer.core.config.settings import Config
from deployer.core.model import Credentials
from deployer.core.ports.availability_prober import AvailabilityProber
from deployer.core.ports.clock import Clock
from deployer.core.ports.compose_renderer import ComposeRenderer
from deployer.core.ports.github import GitHub
from deployer.core.ports.registry import Registry
from deployer.core.ports.store import Store
from deployer.core.ports.target import Target


@dataclass(frozen=True)
class DeployContext:
    """Dependencies that a deployment's use cases work with."""

    config: Config
    store: Store
    renderer: ComposeRenderer
    target: Target
    prober: AvailabilityProber
    registry: Registry
    github: GitHub
    clock: Clock
    # Reads an environment's variables file; its values may name variables of the two tables.
    variables: Callable[[str, Mapping[str, str], Mapping[str, str]], Mapping[str, str]]
    login: Credentials | None = None  # the server's own, for requests without one
