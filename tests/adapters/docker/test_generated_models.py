"""Random Compose files, real Compose, the judgement of the model and the last gate, against a judge written
apart.

A file passes in one of three ways: Compose refuses it, the deployer refuses it, or its requests give no power
over the host. Another test takes one rule of the deployer away at a time
and expects the files to show it.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from testing.security.compose_bench import Bench, Case, is_refused_early, is_refused_late
from testing.security.compose_values import DRAWN
from testing.security.generated_compose_files import (
    FILE,
    NEIGHBOUR,
    NETWORK,
    SERVICE,
    VOLUME,
    compose_files,
    keys_of,
)
from testing.security.missing_rules import JUDGED, PAGE, RULES, dangerous, grants_asked, page, shown
from testing.security.requests_by_hand import by_hand

DAILY, LONG, PARTS = 500, 20_000, 4
DIFFERENT = 1_000  # values of keys that decide about powers, in three days' files
RECORDED_IN_LONG = 3  # one file of so many is recorded as well; all of them every day


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """In memory where the machine has room for files there: thousands of bundles are written and synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="dpl-") as folder:
        yield Bench(Path(folder) / "state")


def draw(count: int, use: Callable[[str], None]) -> None:
    first = random.SystemRandom().getrandbits(48)
    for number in range(count):
        use(drawn(first + number))


def drawn(number: int) -> str:
    """One file. Hypothesis begins a run with the smallest example and varies each one five times before it
    draws anew, so that most files of one long run are alike.
    """
    texts: list[str] = []

    @seed(number)
    @settings(
        max_examples=2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(compose_files())
    def each(text: str) -> None:
        texts.append(text)

    each()
    return texts[-1]


def show(case: Case, counts: Counter[str]) -> None:
    """The file's fate, counted; raises AssertionError for a power that passes."""
    found = case.powers()
    early, late = is_refused_early(case), is_refused_late(case)
    counts["gives power" if found else "harmless"] += 1
    counts["refused early"] += early
    counts["refused late"] += late
    assert not found or early, f"the model passes, and gives {found}:\n{case.text}"
    assert not found or late, f"the requests pass, and give {found}:\n{case.text}"


@pytest.fixture(scope="module")
def corpus(bench: Bench) -> list[Case]:
    """The day's files that Compose takes, with the requests that it made of them."""
    kept: list[Case] = []
    drawn: list[str] = []

    def use(text: str) -> None:
        drawn.append(text)
        model = bench.render(text)
        if model is not None and (case := bench.record(text, model)):
            kept.append(case)

    draw(DAILY, use)
    assert len(drawn) >= DAILY and len(kept) >= DAILY * 2 // 5, f"{len(kept)} of {len(drawn)} are recorded"
    return kept


@pytest.mark.case("X01", "X02", "X06", "X07")
def test_no_generated_file_gives_a_power_of_the_host(corpus: list[Case]) -> None:
    counts: Counter[str] = Counter()
    for case in corpus:
        show(case, counts)
    print(f"{len(corpus)} files: {dict(counts)}", file=sys.stderr)
    assert counts["gives power"] >= DAILY // 10 and counts["harmless"] >= DAILY // 20


def test_every_key_of_the_specification_is_drawn_with_many_values() -> None:
    keys: set[str] = set()
    different: set[str] = set()

    def use(text: str) -> None:
        file = json.loads(text)
        keys.update(file["services"]["web"])
        tables = {
            "service": ("services", "web"),
            "network": ("networks", "net"),
            "volume": ("volumes", "vol"),
        }
        for kind, (top, name) in tables.items():
            table = file[top][name] or {}
            different.update(f"{kind} {key}: {table[key]}" for key in DRAWN[kind].keys() & table.keys())

    draw(3 * DAILY, use)
    print(
        f"{len(different)} different values in {3 * DAILY} files, {len(keys)} keys of services",
        file=sys.stderr,
    )
    assert len(different) >= DIFFERENT
    assert not set(SERVICE) - set(keys_of("service")), "values for keys that the specification lacks"
    for values, kind in ((NETWORK, "network"), (VOLUME, "volume"), (FILE, "config")):
        assert not set(values) - set(keys_of(kind))
    assert len(keys) > len(keys_of("service")) * 9 // 10


@pytest.fixture(scope="module")
def once(bench: Bench) -> list[Case]:
    """Files that hold each value of the lists once, and requests that Compose never sends."""
    cases = list(every_value_once(bench))
    plain = next(case for case in cases if not case.powers() and not case.calls[1:])
    return [*cases, *by_hand(plain)]


@pytest.mark.case("X01", "X02", "X06", "X07")
@pytest.mark.parametrize("judged", JUDGED)
def test_no_value_of_the_lists_gives_a_power_of_the_host(once: list[Case], judged: str) -> None:
    """The baseline of the next test: with all rules nothing passes that should not."""
    found = dangerous(once, judged)
    leaks = [f"{case.powers()}:\n{case.text}" for case in found if not JUDGED[judged](case)]
    assert len(found) >= 100 and not leaks, "\n".join(leaks)


def test_each_rule_that_is_taken_away_is_found(once: list[Case]) -> None:
    figures = {
        (name, judged): shown(rule, judged, once) for name, rule in RULES.items() for judged in rule.judged
    }
    assert [key for key, count in figures.items() if not count] == [], "no file shows these missing rules"
    if os.environ.get("DEPLOYER_WRITE_PAGES"):
        PAGE.write_text(page(figures), encoding="utf-8")
    assert _names(PAGE.read_text(encoding="utf-8")) == _names(page(figures))
    told = re.findall(
        r"^\| ([^|]+) \| (\d+|-) \| (\d+|-) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    for name, *cells in told:
        for judged, cell in zip(JUDGED, cells, strict=True):
            assert (cell == "-") is ((name, judged) not in figures)
            # Another version of Compose takes a few files more or less.
            assert cell == "-" or figures[name, judged] * 2 >= int(cell), f"{name}: {figures[name, judged]}"


def _names(text: str) -> list[str]:
    return re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)


def test_every_grant_that_is_asked_for_belongs_to_a_rule_that_is_taken_away(
    corpus: list[Case], once: list[Case]
) -> None:
    asked = grants_asked([*corpus, *once])
    assert len({grant.partition(":")[0] for _, grant in asked}) >= 40
    bounds = {
        "cpu_shares",
        "shm_size",
        "tmpfs",
        "stop_grace_period",
        "max-buffer-size",
    }  # taken away by their bound
    bounds |= {"count:", "request:size"}  # more ports than that are refused by a second rule as well
    bounds |= {"credential_spec"}  # Windows' own, which no request of Linux has
    unnamed = [
        one
        for one in asked
        if not any(rule.asked_for(*one) for rule in RULES.values()) and not any(b in one[1] for b in bounds)
    ]
    assert unnamed == [], unnamed


def every_value_once(bench: Bench) -> Iterator[Case]:
    tables = [
        (kind, {key: value})
        for kind, values in (("services", SERVICE), ("networks", NETWORK), ("volumes", VOLUME))
        for key, given in values.items()
        for value in given
    ]
    tables += [("networks", {"name": f"{NEIGHBOUR}_default", "external": True})]
    tables += [("volumes", {"name": f"{NEIGHBOUR}_data", "external": True})]
    tables += [(kind, {"file": path}) for kind in ("configs", "secrets") for path in FILE["file"]]
    for kind, table in tables:
        text = json.dumps(_document(kind, table))
        model = bench.render(text)
        if model is not None and (case := bench.record(text, model)):
            yield case


def _document(kind: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A plain file with the table in it, and a service that uses it."""
    uses: dict[str, Any] = {
        "networks": {"default": {"priority": 10}, "own": {}},
        "volumes": ["own:/x"],
        "configs": ["own"],
        "secrets": ["own"],
    }
    service = table if kind == "services" else {kind: uses[kind]}
    document: dict[str, Any] = {
        "services": {"web": {"image": "nginx:alpine", **service}, "db": {"image": "nginx:alpine"}},
        "networks": {"net": None},
        "volumes": {"vol": None, "data": None},
        "configs": {"conf": {"file": "./a.txt"}},
        "secrets": {"sec": {"file": "./a.txt"}},
    }
    return document if kind == "services" else {**document, kind: {**document[kind], "own": table}}


@pytest.mark.long
@pytest.mark.case("X01", "X02")
@pytest.mark.parametrize("part", range(PARTS))
def test_no_file_of_twenty_thousand_gives_a_power_of_the_host(bench: Bench, part: int) -> None:
    counts: Counter[str] = Counter()

    def use(text: str) -> None:
        counts["drawn"] += 1
        model = bench.render(text)
        if model is None:
            counts["refused by compose or its guard"] += 1
        elif counts["drawn"] % RECORDED_IN_LONG == 0 and (case := bench.record(text, model)):
            counts["recorded"] += 1
            show(case, counts)
        else:
            show_model(text, model, counts)

    draw(LONG // PARTS, use)
    print(f"part {part}: {dict(counts)}", file=sys.stderr)
    assert (
        counts["drawn"] >= LONG // PARTS and counts["recorded"] >= LONG // PARTS // RECORDED_IN_LONG * 2 // 5
    )


def show_model(text: str, model: Mapping[str, Any], counts: Counter[str]) -> None:
    """A file that was rendered only, judged by its model."""
    case = Case(text, model, (), ())
    found, early = case.powers_of_model(), is_refused_early(case)
    counts["gives power"] += bool(found)
    counts["refused early"] += early
    assert not found or early, f"the model passes, and gives {found}:\n{text}"
