"""The name under which Compose would find the data, and the one that the settings give."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.project_names import ComposeProject, judge_project, own_project
from deployer.core.errors import OtherProject
from deployer.core.model import Bundle

TABLE = "[apps.shop.environments.production]"
MODEL: dict[str, Any] = {
    "services": {"db": {}, "web": {}},
    "volumes": {
        "data": {"name": "shop_data"},
        "fixed": {"name": "big-data"},
        "outer": {"name": "outer", "external": True},
        "plain": None,
    },
}
DATA = frozenset({"data", "plain"})


@pytest.mark.parametrize(
    ("text", "env", "variables", "name"),
    [
        ("name: legacy\nservices: {}\n", "", {}, "legacy"),
        ("services: {}\nname: 'legacy' # old\n", "", {}, "legacy"),
        ('name: "${APP:-legacy}"\n', "", {}, "legacy"),
        ("name: ${APP}-x\n", "", {"APP": "shop"}, "shop-x"),
        ("name: $APP\n", "APP=mine\n", {}, "mine"),
        ("name: legacy\n", "COMPOSE_PROJECT_NAME=mine # set\n", {}, "mine"),
        ("name: legacy\n", "COMPOSE_PROJECT_NAME=mine\n", {"COMPOSE_PROJECT_NAME": "server"}, "server"),
        ("services:\n  web:\n    name: no\nvolumes:\n  data:\n    name: x\n", "", {}, ""),
    ],
)
@pytest.mark.case("H10")
def test_the_files_own_name(text: str, env: str, variables: dict[str, str], name: str) -> None:
    bundle = Bundle("deploy/compose.yaml", {"deploy/compose.yaml": text, "deploy/.env": env})
    assert own_project(bundle, variables) == name


def judged(own: str, *known: ComposeProject, others: tuple[str, ...] = (), model: Any = None) -> str:
    found = {one.name: one for one in known}
    return judge_project(model or MODEL, own, "shop", found, others=others, table=TABLE)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (ComposeProject("legacy", volumes=frozenset({"data"})), "which has volumes data here"),
        (ComposeProject("legacy", services=frozenset({"db"})), "which has containers here"),
    ],
)
@pytest.mark.case("H10")
def test_data_under_the_files_own_name_is_refused_with_the_line_to_write(
    found: ComposeProject, told: str
) -> None:
    with pytest.raises(OtherProject, match=told) as caught:
        judged("legacy", found)
    assert f'write project = "legacy" under {TABLE}' in caught.value.hint


@pytest.mark.case("H10")
def test_another_name_without_data_and_that_of_another_environment_are_told() -> None:
    told = "the Compose file's own project name is legacy; this environment's project is shop"
    assert judged("legacy") == told
    assert judged("legacy", ComposeProject("legacy", volumes=DATA), others=("legacy",)) == told
    assert judged("shop") == ""


@pytest.mark.case("H10")
def test_volumes_of_the_same_names_under_one_other_project_are_told() -> None:
    found = ComposeProject("myapp", frozenset({"db"}), DATA)
    assert judged("", found) == (
        "project myapp has volumes of the same names here (data, plain); this deploy starts on empty ones of"
        f' project shop. To go on with that data, write project = "myapp" under {TABLE}'
    )
    assert judged("shop", ComposeProject("myapp", volumes=DATA)), "`down` leaves volumes"


@pytest.mark.parametrize(
    "known",
    [
        (ComposeProject("myapp", frozenset({"other"}), DATA),),
        (ComposeProject("myapp", frozenset({"db"}), frozenset({"data"})),),
        (ComposeProject("a", volumes=DATA), ComposeProject("b", volumes=DATA)),
        (ComposeProject("myapp", volumes=DATA), ComposeProject("shop", volumes=DATA)),
    ],
)
@pytest.mark.case("H10")
def test_what_is_not_surely_the_same_application_is_not_told(known: tuple[ComposeProject, ...]) -> None:
    assert judged("", *known) == ""
    assert judged("", ComposeProject("staging", volumes=DATA), others=("staging",)) == ""
    assert judged("", ComposeProject("myapp", volumes=DATA), model={"services": {"db": {}}}) == ""


def test_a_file_of_variables_that_compose_cannot_read_names_no_project() -> None:
    assert own_project(Bundle("compose.yaml", {"compose.yaml": "name: shop\n", ".env": "!"}), {}) == "shop"
