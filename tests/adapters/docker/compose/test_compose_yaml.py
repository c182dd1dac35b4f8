"""YAML from a repository: what would unfold is refused before it does, and nothing hides what Compose
reads.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.adapters.docker.compose.compose_cli import Compose
from deployer.adapters.docker.compose.compose_yaml import WrittenFiles, parse_printed
from deployer.core.compose.file_access import check_file_access
from deployer.core.errors import ComposeRejected
from deployer.core.model import Bundle
from testing.docker.docker_cli import ROOT


def laughs(opening: str, closing: str, levels: int = 40) -> str:
    """Each level has the one before nine times."""
    lines = [f"l0: &l0 {opening}a{closing}" if opening == "[" else "l0: &l0 {k: v}"]
    for level in range(1, levels):
        inner = ", ".join([f"*l{level - 1}"] * 9)
        lines.append(f"l{level}: &l{level} {opening}{inner}{closing}")
    return "\n".join(lines) + "\n"


LISTS = laughs("[", "]")
MERGES = laughs("{<<: [", "]}")
BOMBS = {
    "lists": LISTS,
    "merges": MERGES,
    "include": f"{LISTS}include: *l39\n",
    "env_file": f"{LISTS}services: {{web: {{env_file: *l39}}}}\n",
    "itself": "a: &a [*a, *a]\ninclude: *a\n",
    "deep lists": "a: " + "[" * 500_000,
    "deep tables": "{a: " * 100_000,
    "deep blocks": "".join(" " * depth + "- \n" for depth in range(900)),
    "deep by alias": "".join(f"l{n}: &l{n} [*l{n - 1}]\n" if n else "l0: &l0 [a]\n" for n in range(200)),
    "a wide one often": "a: &a [" + "x, " * 5_000 + "x]\nb: [" + "*a, " * 500 + "*a]\n",
}


@pytest.mark.case("D09")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_a_second_and_in_little_memory(name: str, tmp_path: Path) -> None:
    script = (
        "import resource, sys, time\n"
        "from deployer.adapters.docker.compose.compose_yaml import WrittenFiles\n"
        "from deployer.core.errors import ComposeRejected\n"
        "text = sys.stdin.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "begun = time.process_time()\n"
        "try:\n"
        "    found = WrittenFiles().parse(text)\n"
        "except ComposeRejected:\n"
        "    found = None\n"
        "took = time.process_time() - begun\n"
        "grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024\n"
        "assert not found, found\n"
        "assert took < 1 and grown < 64, (took, grown)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=BOMBS[name],
        check=False,
        text=True,
        cwd=ROOT,
        capture_output=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.case("D09")
def test_the_file_of_a_bomb_is_named_and_compose_is_not_asked(tmp_path: Path) -> None:
    files = {"compose.yaml": "include: [more.txt]\n", "more.txt": f"{LISTS}include: *l39\n"}
    with pytest.raises(ComposeRejected, match=r"^more\.txt: (unfolds|\*l)"):
        Compose(tmp_path).renderer.render("p", Bundle("compose.yaml", files), {})


READ: dict[str, list[Any]] = {
    "a: !!str 1\nb: 2001-99-99\nc: !!int x": [{"a": "1", "b": "2001-99-99", "c": "x"}],
    "a: !reset null\nb: !override {c: d}": [{"a": "null", "b": {"c": "d"}}],
    "a: 1\n---\nb: ~\n---\n": [{"a": "1"}, {"b": None}, None],
    "x: &x {a: 1, b: 3}\ny: {<<: *x, b: 2}": [
        {"x": {"a": "1", "b": "3"}, "y": {"a": "1", "b": "2", "<<": {"a": "1", "b": "3"}}}
    ],
    "- &x {a: 1}\n- &y {a: 2, b: 2}\n- {<<: [*x, *y]}": [
        [{"a": "1"}, {"a": "2", "b": "2"}, {"a": "1", "b": "2", "<<": [{"a": "1"}, {"a": "2", "b": "2"}]}]
    ],
    "- &x {a: 1}\n- {'<<': *x}": [[{"a": "1"}, {"<<": {"a": "1"}}]],
    "- &x 1\n- &x 2\n- *x": [["1", "2", "2"]],
    "k: &k a\nt: {*k : b}": [{"k": "a", "t": {"a": "b"}}],
    "a: [null, Null, NULL, ~, '', !!null , !!null x, 'null']": [
        {"a": [None, None, None, None, "", None, "x", "null"]}
    ],
    '{\n\t"a": ["\\u00e9", 1]\n}': [{"a": ["é", "1"]}],
    "\ufeffa: b\r\nc:\td\t# e\r\n": [{"a": "b", "c": "d"}],
    "": [],
}


@pytest.mark.case("X03")
@pytest.mark.parametrize("text", READ)
def test_text_means_what_it_means_to_compose(text: str) -> None:
    assert WrittenFiles().parse(text) == READ[text]


REFUSED = {
    "a: !!python/object/apply:os.system [id]": "has a tag",
    "env_file: !!binary L2V0Yy9wYXNzd2Q=": "has a tag tag:yaml.org,2002:binary in line 1",
    "!!binary ZW52X2ZpbGU=: /etc/passwd": "has a tag",
    "%TAG !e! tag:yaml.org,2002:\n---\na: !e!binary YQ==": "has a tag tag:yaml.org,2002:binary in line 3",
    "a: !<tag:yaml.org,2002:binary> YQ==": "has a tag",
    "x: &x {a: 1}\ny: {! <<: *x}": "has a tag !",
    "x: &x {a: 1}\ny: {!!merge <<: *x}": "has a tag",
    "a: !!timestamp 2001-01-01": "has a tag",
    "a: !!set {b}": "has a tag",
    "a: !own b": "has a tag !own",
    "a: 1\nb: 2\na: 3": "the key 'a' twice in one table \\(line 3\\)",
    "x: &x {a: 1}\ny: {<<: *x, <<: *x}": "the key '<<' twice",
    "a: {<<: 1}\n": "merges something that is no table",
    "a: {<<: [[{b: c}]]}\n": "merges something that is no table",
    "? [a]\n: b\n": "a key that is not a text",
    "~: b\n": "a key that is not a text",
    "a: *b": "stands in itself or for nothing",
    "a: &a [*a]": "stands in itself or for nothing",
    "services: {web: {env_file: /etc/passwd}}\n\tbad: tab": "is not valid YAML",
    "a: b\0c": "is not valid YAML: unreadable characters",
    "#!/bin/sh\nexec nginx -g 'daemon off;' {}}\na: b: c": "is not valid YAML",
}


@pytest.mark.case("D09", "X03")
@pytest.mark.parametrize("text", REFUSED)
def test_what_compose_may_read_in_another_way_is_refused(text: str) -> None:
    with pytest.raises(ComposeRejected, match=REFUSED[text]):
        WrittenFiles().parse(text)


@pytest.mark.case("X11")
def test_all_files_of_a_release_share_one_bound_on_what_is_read() -> None:
    """Five files of 1 MB each, of the shortest values there are: reading ends at the bound."""
    megabyte = "a: [" + "b," * 500_000 + "b]\n"
    files = {f"f{number}.yaml": megabyte for number in range(5)}
    reader = WrittenFiles()
    with pytest.raises(ComposeRejected, match="more than 100000 keys and values"):
        check_file_access(
            "compose.yaml",
            {"compose.yaml": f"include: [{', '.join(files)}]\n", **files},
            reader.parse,
        )
    assert reader.events == 100_001


@pytest.mark.case("X11")
def test_the_bound_is_on_the_sum_and_no_everyday_file_comes_near_it() -> None:
    service = "  s{}: {{image: web, ports: [80:80], environment: {{A: b}}, env_file: [a.env, b.env]}}\n"
    everyday = "services:\n" + "".join(service.format(number) for number in range(200))
    reader = WrittenFiles()
    reader.parse(everyday)
    assert reader.events < 10_000
    with pytest.raises(ComposeRejected, match="with the files before it"):
        for _ in range(100):
            reader.parse(everyday)


@pytest.mark.case("X11")
def test_a_release_is_judged_once_and_another_content_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    whole = WrittenFiles.parse
    monkeypatch.setattr(
        WrittenFiles,
        "parse",
        lambda self, text: judged.append(text) or whole(self, text),  # type: ignore[func-returns-value]
    )
    compose = Compose(tmp_path)
    good, bad = "services: {web: {image: busybox}}\n", "services: {web: {env_file: /etc/passwd}}\n"
    for value in ("1", "2", "3"):
        compose.renderer.render("p", Bundle("compose.yaml", {"compose.yaml": good}), {"A": value})
        with pytest.raises(ComposeRejected, match="outside the repository"):
            compose.renderer.render("p", Bundle("compose.yaml", {"compose.yaml": bad}), {"A": value})
    assert judged == [good, bad]
    compose.renderer.render("p", Bundle("compose.yaml", {"compose.yaml": good, "data.txt": "a"}), {})
    assert judged == [good, bad, good]


@pytest.mark.parametrize(
    "text",
    [
        "services: {}\n---\nservices: {web: {image: x, env_file: /etc/passwd}}\n",
        "x-date: 2001-99-99\nservices: {web: {image: x, env_file: /etc/passwd}}\n",
        "x-number: !!float many\nservices: {web: {image: x, env_file: /etc/passwd}}\n",
        "x: &x {env_file: /etc/passwd}\nservices: {web: {<<: *x, image: x}}\n",
    ],
    ids=["second document", "no date", "no number", "merged"],
)
def test_nothing_hides_a_file_of_the_server(tmp_path: Path, text: str) -> None:
    with pytest.raises(ComposeRejected, match="outside the repository"):
        Compose(tmp_path).renderer.render("p", Bundle("compose.yaml", {"compose.yaml": text}), {})


def test_anchors_as_people_use_them_are_fine() -> None:
    common = "x-common: &common\n  restart: always\n  environment: &env {A: 1, B: 2}\n"
    services = "".join(f"  s{n}: {{<<: *common, environment: {{<<: *env, N: {n}}}}}\n" for n in range(100))
    (document,) = WrittenFiles().parse(f"{common}services:\n{services}")
    assert document["services"]["s99"]["environment"]["N"] == "99"
    assert document["services"]["s99"]["restart"] == "always"


@given(st.text(max_size=300) | st.text("&*[]{}-: \nab<!", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ComposeRejected):
        assert isinstance(WrittenFiles().parse(text), list)


@pytest.mark.parametrize(
    "text", ["2024-13-45", "2024-02-30", "2024-01-01 25:00:00", "0b_", "1234-56-78", "2024-01-01", "0x_"]
)
def test_words_of_compose_that_look_like_dates_or_numbers_stay_words(text: str) -> None:
    assert parse_printed(f"a: {text}\nb: 12\nc: 1.5\n") == {"a": text, "b": 12, "c": 1.5}
