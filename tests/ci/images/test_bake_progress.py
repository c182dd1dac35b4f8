"""Seconds for every image, from what bake prints."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.ci.images.bake_progress import Progress

OUTPUT = b"""#1 [internal] load local bake definitions
#2 [web internal] load build definition from Dockerfile
#3 [api 1/2] FROM alpine
#2 DONE 0.1s
#3 0.5 working
#3 DONE 1.0s
#4 [web] exporting to image
#4 DONE 0.1s
[no step
"""


def clock() -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += 1.0


def test_each_target_takes_from_its_first_line_to_its_last() -> None:
    ticks = clock()
    progress = Progress(["web", "api"], lambda: next(ticks))
    for line in OUTPUT.splitlines(keepends=True):
        progress.read(line[:5])
        progress.read(line[5:])
    # A line is complete with every second chunk.
    assert progress.seconds() == {"web": 12.0, "api": 6.0}


def test_the_only_target_has_every_line() -> None:
    ticks = clock()
    progress = Progress(["web"], lambda: next(ticks))
    progress.read(b"#1 [internal] load\n")
    progress.read(b"#2 [build 1/2] RUN x\n#2 DONE 1s\n")
    assert progress.seconds() == {"web": 1.0}


def test_a_target_of_which_nothing_was_said_has_no_time() -> None:
    assert Progress(["a", "b"]).seconds() == {}
