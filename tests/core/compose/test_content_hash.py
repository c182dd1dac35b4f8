from __future__ import annotations

from typing import Any

import pytest

from deployer.core.compose.content_hash import Files, bind_specs, spec_of
from deployer.core.errors import ComposeRejected

OLD = Files(
    "/s/bundles/1",
    {"/s/bundles/1/a.conf": "aaa", "/s/bundles/1/conf.d/x": "xxx", "/s/bundles/1/conf.d/y": "yyy"},
)
MOVED = Files(
    "/s/bundles/2",
    {"/s/bundles/2/a.conf": "aaa", "/s/bundles/2/conf.d/x": "xxx", "/s/bundles/2/conf.d/y": "yyy"},
)
EDITED = Files(
    "/s/bundles/2",
    {"/s/bundles/2/a.conf": "AAA", "/s/bundles/2/conf.d/x": "XXX", "/s/bundles/2/conf.d/y": "yyy"},
)


def bind(source: str) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/etc/x", "read_only": True}]}


@pytest.mark.parametrize("name", ["a.conf", "conf.d"])
def test_a_mounted_file_counts_by_its_content(name: str) -> None:
    old = spec_of(bind(f"/s/bundles/1/{name}"), {}, OLD)
    assert spec_of(bind(f"/s/bundles/2/{name}"), {}, MOVED) == old
    assert spec_of(bind(f"/s/bundles/2/{name}"), {}, EDITED) != old


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
        spec_of(bind("/s/bundles/1/data/dump.sql"), {}, OLD)
    assert "volume" in error.value.hint


@pytest.mark.parametrize("path", ["/s/bundles/1", "/s/key", "/s/bundles/data", "/s/bundles/1/conf.d/z"])
def test_nothing_else_of_the_state_folder_can_be_mounted(path: str) -> None:
    with pytest.raises(ComposeRejected, match="is mounted and did not come"):
        spec_of(bind(path), {}, OLD)


def test_a_folder_of_the_release_cannot_be_written_to_and_a_file_of_it_can() -> None:
    folder, file = bind("/s/bundles/1/conf.d"), bind("/s/bundles/1/a.conf")
    for mounted in (folder, file):
        mounted["volumes"][0]["read_only"] = False
    with pytest.raises(ComposeRejected, match=r"conf\.d is mounted writable"):
        spec_of(folder, {}, OLD)
    assert spec_of(file, {}, OLD)


def test_a_service_in_anothers_namespace_is_new_with_it() -> None:
    assert bind_specs("a", []) == "a"
    assert bind_specs("a", ["b"]) not in ("a", bind_specs("a", ["c"]))
