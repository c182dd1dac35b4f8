from __future__ import annotations

from typing import Any

import pytest

from deployer.core.errors import ComposeRejected
from deployer.core.spec import Files, spec_of

OLD = Files("/b/1", {"/b/1/a.conf": "aaa", "/b/1/conf.d/x": "xxx", "/b/1/conf.d/y": "yyy"})
MOVED = Files("/b/2", {"/b/2/a.conf": "aaa", "/b/2/conf.d/x": "xxx", "/b/2/conf.d/y": "yyy"})
EDITED = Files("/b/2", {"/b/2/a.conf": "AAA", "/b/2/conf.d/x": "XXX", "/b/2/conf.d/y": "yyy"})


def bind(source: str) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/etc/x", "read_only": True}]}


@pytest.mark.parametrize("name", ["a.conf", "conf.d"])
def test_a_mounted_file_counts_by_its_content(name: str) -> None:
    old = spec_of(bind(f"/b/1/{name}"), {}, OLD)
    assert spec_of(bind(f"/b/2/{name}"), {}, MOVED) == old
    assert spec_of(bind(f"/b/2/{name}"), {}, EDITED) != old


@pytest.mark.parametrize("kind", ["configs", "secrets"])
@pytest.mark.parametrize("used", [["site"], [{"source": "site", "target": "/etc/site"}]])
def test_a_config_or_secret_counts_by_its_content(kind: str, used: list[Any]) -> None:
    def made(files: Files) -> str:
        return spec_of({kind: used}, {kind: {"site": {"file": f"{files.folder}/a.conf"}}}, files)

    assert made(MOVED) == made(OLD) != made(EDITED)


def test_a_path_of_the_host_counts_as_it_is() -> None:
    assert spec_of(bind("/srv/a"), {}, OLD) != spec_of(bind("/srv/b"), {}, OLD)
    assert spec_of(bind("/srv/a"), {}, Files("", {})) == spec_of(bind("/srv/a"), {}, OLD)


def test_a_volume_counts_by_its_name_and_a_config_without_a_file_by_its_definition() -> None:
    def volume(name: str) -> dict[str, Any]:
        return {"volumes": [{"type": "volume", "source": name, "target": "/d"}]}

    assert spec_of(volume("a"), {}, OLD) != spec_of(volume("b"), {}, OLD)
    inline = [{"configs": {"site": {"content": text}}} for text in ("one", "two")]
    assert spec_of({"configs": ["site"]}, inline[0], OLD) != spec_of({"configs": ["site"]}, inline[1], OLD)
    assert spec_of({"configs": ["other"]}, inline[0], OLD) == spec_of({"configs": ["other"]}, inline[1], OLD)


def test_a_mounted_file_that_did_not_come_along_is_named() -> None:
    with pytest.raises(ComposeRejected, match=r"data/dump\.sql is mounted and did not come") as error:
        spec_of(bind("/b/1/data/dump.sql"), {}, OLD)
    assert "volume" in error.value.hint
