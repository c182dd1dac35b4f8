"""Files that a Compose file in a folder names beside that folder."""

from __future__ import annotations

import pytest

from deployer.core.model import Bundle
from testing.stage import Published, Stage
from tests.scenarios.deploys.test_compose_shapes import CHECK, ask, echo

__all__ = ["echo"]
pytestmark = pytest.mark.engine
SERVICE = f'services:\n  web:\n    build: ../backend\n    ports: ["${{API_PORT}}:3001"]\n    {CHECK}\n'


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        (SERVICE + "    env_file: ../app.env\n", {"app.env": "MARK=seen\n"}),
        (
            SERVICE + "    extends: {file: ../common.yaml, service: base}\n",
            {"common.yaml": "services:\n  base: {image: x, environment: {MARK: seen}}\n"},
        ),
        (
            "include: [../common.yaml]\n",
            {"common.yaml": SERVICE.replace("../backend", "backend") + "    environment: {MARK: seen}\n"},
        ),
        (SERVICE + "    env_file: [../conf/../app.env]\n", {"app.env": "MARK=seen\n"}),
        (
            SERVICE + "    extends: {file: ../part/common.yaml, service: base}\n",
            {
                "part/common.yaml": "services:\n  base: {image: x, env_file: ../app.env}\n",
                "app.env": "MARK=seen\n",
            },
        ),
        (
            "include: [{path: ../part/common.yaml, project_directory: ..}]\n",
            {
                "part/common.yaml": SERVICE.replace("../backend", "backend") + "    env_file: ./app.env\n",
                "app.env": "MARK=seen\n",
            },
        ),
    ],
    ids=["env_file", "extends", "include", "odd path", "file of an extended file", "project_directory"],
)
def test_v7_a_file_beside_the_compose_files_folder_is_read(
    stage: Stage, echo: Published, entry: str, more: dict[str, str]
) -> None:
    files = {"deploy/compose.yaml": entry} | more
    status, answer = stage.request(
        echo, images={"web": echo.images["backend"]}, bundle=Bundle("deploy/compose.yaml", files)
    )
    assert status == 202, answer
    ended = stage.finished(answer["id"], answer["read_token"])
    assert ended["status"] == "success", ended["reason"]
    assert ask(stage)["env"] == "seen"
