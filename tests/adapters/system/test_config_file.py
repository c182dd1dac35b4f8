"""The settings and every file they name, as `deployer config check` and the server read them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters.system.config_file import read_config, read_secret
from deployer.bootstrap import build, load
from deployer.core.errors import ConfigError, DeployerError, StoreUnavailable

SECRET = "canary-5f3a9c71-long-enough-for-a-webhook"


class Settings:
    """A settings file that holds, to be changed in one place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "config.toml"
        self.state = folder / "state"
        for name in ("webhook", "password", "token", "variables"):
            self.secret(name, f"A={SECRET}" if name == "variables" else SECRET)
        self.parts = {
            "registry": f'username = "ada"\npassword-file = "{folder}/password"',
            "github": f'token-file = "{folder}/token"',
            "apps.shop": (
                'repository = "acme/shop"\nrepository-id = 1\nowner-id = 2\n'
                f'webhook-secret-files = ["{folder}/webhook"]'
            ),
            "apps.shop.environments.production": f'variables-file = "{folder}/variables"',
        }

    def secret(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def write(self) -> Path:
        server = f'url = "https://deploy.example.com"\nstate = "{self.state}"'
        sections = {"server": server, **self.parts}
        self.path.write_text("\n".join(f"[{name}]\n{text}" for name, text in sections.items()))
        return self.path


@pytest.fixture
def settings() -> Iterator[Settings]:
    """Not in pytest's folder, whose path is too long for a socket below it."""
    with tempfile.TemporaryDirectory(prefix="dpl-", dir="/tmp") as folder:
        yield Settings(Path(folder))


def refused(settings: Settings) -> str:
    with pytest.raises(ConfigError) as caught:
        load(settings.write())
    assert SECRET not in caught.value.diagnostics()
    return caught.value.diagnostics()


def test_settings_that_hold_are_read_and_nothing_is_made(settings: Settings) -> None:
    assert load(settings.write()).registry_username == "ada"
    assert not settings.state.exists()


def test_a_registry_login_needs_both_its_halves(settings: Settings) -> None:
    settings.parts["registry"] = 'username = "ada"'
    assert "registry: username and password-file should be given together" in refused(settings)
    settings.parts["registry"] = f'password-file = "{settings.folder}/password"'
    assert "registry: username and password-file should be given together" in refused(settings)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("password", "registry.password-file"),
        ("token", "github.token-file"),
        ("webhook", "apps.shop.webhook-secret-files"),
        ("variables", "variables"),
    ],
)
def test_every_file_that_the_settings_name_is_read(settings: Settings, name: str, setting: str) -> None:
    (settings.folder / name).unlink()
    assert setting in refused(settings)


@pytest.mark.parametrize("name", ["password", "token", "webhook", "variables"])
def test_a_secret_that_everybody_may_read_is_refused(settings: Settings, name: str) -> None:
    path = settings.secret(name, f"A={SECRET}", 0o644)
    assert f"chmod 600 {path}" in refused(settings)


@pytest.mark.case("A11")
def test_a_short_webhook_secret_is_refused(settings: Settings) -> None:
    settings.secret("webhook", "short")
    assert "at least 16 bytes" in refused(settings)


def test_a_state_folder_that_is_open_to_others_is_refused(settings: Settings) -> None:
    settings.state.mkdir()
    settings.state.chmod(0o750)
    assert f"chmod 700 {settings.state}" in refused(settings)
    settings.state.chmod(0o700)
    load(settings.path)


def test_a_state_folder_that_is_a_file_or_below_one_is_refused(settings: Settings) -> None:
    settings.state.touch()
    assert "server.state" in refused(settings) and f"{settings.state} is not a folder" in refused(settings)
    settings.state = settings.state / "b"
    assert f"{settings.state} cannot be read" in refused(settings)


def test_a_state_folder_that_is_too_long_for_a_socket_is_refused(settings: Settings) -> None:
    settings.state = settings.state / ("x" * 80)
    assert "too long a path for a socket" in refused(settings)


def test_the_server_makes_its_state_folder_for_itself_alone(settings: Settings) -> None:
    build(settings.write()).close()
    assert settings.state.stat().st_mode & 0o777 == 0o700
    build(settings.path).close()


def test_a_state_folder_that_cannot_be_made_is_an_expected_failure(settings: Settings) -> None:
    settings.state = Path("/proc/deployer")
    with pytest.raises(StoreUnavailable, match="the folder /proc/deployer cannot be created"):
        build(settings.write())


@pytest.mark.parametrize(
    ("raw", "says"),
    [(b"[server", "is not valid TOML"), (b"\xff", "cannot be read"), (None, "there is no such file")],
)
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, raw: bytes | None, says: str) -> None:
    path = tmp_path / "config.toml"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(ConfigError, match=rf"config\.toml: .*{says}"):
        read_config(path)


@pytest.mark.parametrize("name", ["missing", "folder", "bytes", "zero\0byte"])
def test_a_secret_file_that_cannot_be_read_is_named_by_its_setting(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(DeployerError, match=r"github\.token-file: .*cannot be read"):
        read_secret(str(tmp_path / name), "github.token-file")
