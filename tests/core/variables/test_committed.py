"""The repository's own variables, and the names that nobody gives a value."""

from __future__ import annotations

import pytest

from deployer.core.errors import ComposeRejected
from deployer.core.model import Bundle
from deployer.core.variables.committed import blank_names, committed_variables, told_blank


def bundle(**files: str) -> Bundle:
    return Bundle("app/compose.yaml", {f"app/{name.replace('_', '.')}": text for name, text in files.items()})


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({}, {}),
        ({"_env": "A=1\nB=$A$GIVEN\n"}, {"A": "1", "B": "1x"}),
        ({"_env": "A=1", "_env_production": "B=2"}, {"B": "2"}),
        ({"_env": "DOCKER_HOST=tcp://x\ncompose_file=x\nCOMPOSE_PROFILES=all"}, {"COMPOSE_PROFILES": "all"}),
    ],
)
def test_v1_the_repositorys_own_file_is_read_as_the_action_does(
    files: dict[str, str], variables: dict[str, str]
) -> None:
    assert committed_variables(bundle(**files), {"GIVEN": "x"}) == variables


def test_a_wrong_line_of_the_repositorys_file_is_named() -> None:
    with pytest.raises(ComposeRejected, match=r"^app/\.env:2: should be NAME=value"):
        committed_variables(bundle(_env="A=1\n!"), {})


def test_v1_names_without_a_value_are_told_but_not_those_of_mounted_data() -> None:
    files = {
        "compose.yaml": "a: $A ${B:-x} $GIVEN ${EMPTY}",
        "more.yml": "c: ${C}",
        "data/prometheus.yml": "d: $labels",
        "config.yaml": "e: $config",
        "one.env": "F=$F",
    }
    document = {
        "services": {
            "web": {
                "environment": {"PASSED": None, "GIVEN": "1"},
                "volumes": [{"type": "bind", "source": "/state/data"}, {"type": "tmpfs"}],
            },
            "db": {},
        },
        "configs": {"one": {"file": "/state/config.yaml"}, "two": None},
    }
    given = {"GIVEN": "1", "EMPTY": ""}
    found = blank_names(Bundle("compose.yaml", files), given, document, "/state")
    assert found == ["A", "C", "EMPTY", "PASSED"]
    assert blank_names(Bundle("", {}), {}, {}, "") == []


def test_the_notice_is_empty_without_names() -> None:
    assert told_blank(()) == "" and told_blank(["A", "B"]).endswith(": A, B")
