"""The chain: whatever is changed, the first entry that does not hold is named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deployer.core.audit.chain import START, Action, AuditEvent, Entry, entry_text, find_break, link
from deployer.core.audit.events import acceptance, refusal
from deployer.core.model import DeployJob, Kind, Run, Trigger

KEY = b"the server's own"


def chain(count: int, key: bytes = KEY) -> list[Entry]:
    entries: list[Entry] = []
    before = START
    for n in range(1, count + 1):
        text = entry_text(
            n, 1000.0 + n, AuditEvent(Action.END, "deployer", "local", "shop", facts={"n": str(n)})
        )
        before = link(key, before, text)
        entries.append(Entry(n, text, before))
    return entries


def test_an_untouched_chain_holds_to_its_end() -> None:
    entries = chain(5)
    assert find_break(KEY, entries) == (entries[-1], "")
    assert find_break(KEY, []) == (Entry(0, "", START), "")


@pytest.mark.parametrize("place", range(5))
def test_a_changed_a_missing_and_an_added_entry_are_found(place: int) -> None:
    entries = chain(5)
    changed = entries[place].text.replace("shop", "shoq")
    for broken in (
        [*entries[:place], replace(entries[place], text=changed), *entries[place + 1 :]],
        [*entries[:place], replace(entries[place], hash="f" * 64), *entries[place + 1 :]],
        [*entries[:place], *entries[place + 1 :]] if place < 4 else entries[1:],
        [*entries[: place + 1], entries[place], *entries[place + 1 :]],
        [*entries[:place], *(replace(entry, n=entry.n + 1) for entry in entries[place:])],
    ):
        last, wrong = find_break(KEY, broken)
        assert wrong and last.n <= place + 1


def test_a_whole_new_chain_needs_the_key() -> None:
    _, wrong = find_break(KEY, chain(3, b"somebody else's"))
    assert wrong == "entry 1 was changed, or the one before it"


def test_hostile_text_stays_within_its_line_and_its_size() -> None:
    event = refusal("203.0.113.9", "forbidden", "\n\u2028\x1b[31m\u202e" + "x" * 5_000, "POST /webhook")
    text = entry_text(1, 1.0, event)
    assert text.isascii() and text.isprintable() and len(text) < 1_500
    assert json.loads(text)["facts"]["message"].startswith("\n\u2028\x1b[31m")


def test_an_acceptance_names_run_and_deployment() -> None:
    job = DeployJob(
        "shop", "production", Kind.DEPLOY, Trigger.ACTION, "ada", run=Run(12, 2), origin="198.51.100.7"
    )
    text = json.loads(entry_text(7, 1.0, acceptance(job, "d1", "queued")))
    assert text["facts"] == {"deployment": "d1", "kind": "deploy", "trigger": "action", "run": "12.2"}
    assert (text["who"], text["origin"], text["verdict"]) == ("ada", "198.51.100.7", "queued")
