"""Lines that a failed test names become annotations, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.ci.github.annotations import point_at

PYTEST = "E   assert 1 == 2\n\ntests/test_cart.py:12: AssertionError\n"
NODE = "  Error: boom\n    at Object.<anonymous> (src/cart.test.js:5:10)\n    at node:internal/x:1:2\n"
OUTSIDE = "/etc/passwd:1: root\n../other.py:3: x\nnowhere.py:9: gone\n12:30:05 started\nhttp://a.b:80 up\n"


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (PYTEST, ["::error title=deployer test,file=tests/test_cart.py,line=12::AssertionError"]),
        (NODE, ["::error title=deployer test,file=src/cart.test.js,line=5::"
                "at Object.<anonymous> (src/cart.test.js:5:10)"]),
        (OUTSIDE, []),
        (PYTEST * 3, ["::error title=deployer test,file=tests/test_cart.py,line=12::AssertionError"]),
        ("tests/test_cart.py:3:1: ::set-output name=x::y%0A\n",
         ["::error title=deployer test,file=tests/test_cart.py,line=3::::set-output name=x::y%250A"]),
    ],
)  # fmt: skip
def test_a_line_of_the_repository_is_pointed_at(
    output: str, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tests/test_cart.py", "src/cart.test.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    point_at(output, tmp_path)
    assert capsys.readouterr().out.splitlines() == lines


def test_there_are_ten_at_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("")
    point_at("".join(f"a.py:{n}: x\n" for n in range(1, 50)), tmp_path)
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_a_name_that_is_no_file_is_no_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    point_at(f"{'a' * 300}:12: boom\nloop:12: boom\nfolder:1: boom\nloop/x:1: boom\n", tmp_path)
    assert capsys.readouterr().out == ""
