"""The server's settings file and the secret files it names. In: paths. Out: `Config`, secret bytes. Never
prints a secret.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from deployer.adapters.system.files import owner_hint, read_private
from deployer.core.config.settings import Config, load_config
from deployer.core.errors import ConfigError

_LEAST_SECRET = 16  # bytes; shorter webhook secrets can be guessed


def read_config(path: Path) -> Config:
    """Reads the settings. Raises ConfigError with the faulty file, line or setting."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            str(path), "there is no such file", hint="docs/reference/config.toml is a start"
        ) from None
    except OSError as error:
        told = f"cannot be read: {error.strerror}"
        raise ConfigError(str(path), told, hint=owner_hint(error, path)) from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "cannot be read: it is no text") from None
    except RecursionError:
        raise ConfigError(str(path), "is not valid TOML: nested too deep") from None
    except ValueError as error:  # TOMLDecodeError, or a number that Python will not read
        raise ConfigError(str(path), f"is not valid TOML: {error}") from None
    return load_config(table)


def read_secret(path: str, setting: str, *, least: int = 1) -> str:
    """Returns the file's text without surrounding white space. Raises ConfigError if other users of the
    machine can read it.
    """
    text = read_private(path, setting).strip()
    if len(text.encode()) < least:
        raise ConfigError(
            setting,
            f"{path} should hold at least {least} bytes",
            hint="openssl rand -hex 32 makes a good one",
        )
    return text


def read_webhook_secrets(config: Config) -> dict[str, tuple[bytes, ...]]:
    """Returns app → its webhook secrets; an app without one accepts no webhooks."""
    return {
        app.name: tuple(
            read_secret(path, f"apps.{app.name}.webhook-secret-files", least=_LEAST_SECRET).encode()
            for path in app.webhook_secret_files
        )
        for app in config.apps.values()
    }
