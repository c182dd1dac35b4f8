"""Grants in the documents and in the code are the same."""

from __future__ import annotations

import re

from deployer.core.permissions.grants import FLAGS, KEYS, is_grant
from testing.docker.docker_cli import ROOT

_ROW = re.compile(r"^\| `(?P<key>[a-z_]+)(?P<value>:[^`]+)?` \| (?P<opens>[^|]+) \|$", re.MULTILINE)


def test_every_grant_has_one_line_that_says_what_it_opens() -> None:
    page = (ROOT / "docs/reference/x-deployer.md").read_text(encoding="utf-8").partition("\n## Grants\n")[2]
    rows = list(_ROW.finditer(page))
    assert [row["key"] for row in rows] == sorted((*FLAGS, *KEYS))
    assert {row["key"] for row in rows if not row["value"]} == set(FLAGS)
    assert len(rows) == page.count("\n| `"), "a row that this test cannot read"


def test_the_settings_name_every_grant() -> None:
    text = (ROOT / "docs/reference/config.toml").read_text(encoding="utf-8")
    named = text.partition("# Power over this server")[2].partition("\nallow = ")[0]
    missing = [key for key in (*FLAGS, *KEYS) if not re.search(rf"[ `]{key}\b", named)]
    assert missing == []
    examples = re.findall(r"`((?:mount|label|subnet|environment):[^`]+)`", text)
    assert len(examples) >= 4 and all(is_grant(example) for example in examples)
