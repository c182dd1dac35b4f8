"""Names of the labels that Compose gives containers, networks and volumes."""

from __future__ import annotations

from enum import StrEnum

COMPOSE_LABELS = "com.docker.compose."  # all of them begin with it


class ComposeLabel(StrEnum):
    """A label of Compose; the deployer's own begin with `deployer.`."""

    CONFIG_FILES = f"{COMPOSE_LABELS}project.config_files"
    CONFIG_HASH = f"{COMPOSE_LABELS}config-hash"
    CONTAINER_NUMBER = f"{COMPOSE_LABELS}container-number"
    ENVIRONMENT_FILE = f"{COMPOSE_LABELS}project.environment_file"
    IMAGE = f"{COMPOSE_LABELS}image"
    ONE_OFF = f"{COMPOSE_LABELS}oneoff"
    PROJECT = f"{COMPOSE_LABELS}project"
    REPLACE = f"{COMPOSE_LABELS}replace"
    SERVICE = f"{COMPOSE_LABELS}service"
    VOLUME = f"{COMPOSE_LABELS}volume"
