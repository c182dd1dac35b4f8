"""Verbs for the audit log. In: parsed arguments. Out: entries for people or machines; the verdict on the
chain.
"""

from __future__ import annotations

import argparse
import json
import time

from deployer.bootstrap import build, config_path
from deployer.cli.arguments import Verbs, add_group, add_verb, limit
from deployer.core.audit.chain import Entry
from deployer.core.errors import AuditBroken, ConfigError
from deployer.core.reporting.deployment_text import one_line

_PAGE = 1_000


def add_auditing(verbs: Verbs) -> None:
    audit = add_group(verbs, "audit", "the audit log: every action with its author, origin and result")
    listed = add_verb(audit, "list", "show the newest entries, the oldest of them first", _list)
    listed.add_argument(
        "--limit", type=limit, default=50, metavar="N", help="show at most N entries (default 50)"
    )
    listed.add_argument("--json", action="store_true", help="print one JSON object per line")
    verify = add_verb(audit, "verify", "check that no entry was changed, removed or inserted", _verify)
    verify.add_argument(
        "--head",
        default="",
        metavar="N:HASH",
        help="number and hash of an entry noted earlier, which must still be in the log",
    )


def _list(arguments: argparse.Namespace) -> int:
    store = build(config_path(arguments.config)).store
    for entry in store.audit.entries(max(0, store.audit.head() - arguments.limit), arguments.limit):
        print(entry.text if arguments.json else _line(json.loads(entry.text)))
    return 0


def _line(entry: dict[str, object]) -> str:
    facts = entry["facts"]
    assert isinstance(facts, dict)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(str(entry["at"]))))
    place = "/".join(str(entry[key]) for key in ("app", "environment") if entry[key])
    told = " ".join(f"{name}={value}" for name, value in facts.items())
    words = (entry["n"], when, entry["action"], entry["verdict"], place, entry["who"], entry["origin"], told)
    return one_line("  ".join(str(word) for word in words if word != ""))


def _verify(arguments: argparse.Namespace) -> int:
    """Verifies the chain of entries. Raises AuditBroken."""
    noted = _noted(arguments.head)
    store = build(config_path(arguments.config)).store
    last, wrong = store.audit.verify()
    if not wrong and noted and noted.hash != next((e.hash for e in store.audit.entries(noted.n - 1, 1)), ""):
        wrong = f"entry {noted.n} is not the one that was noted"
    if wrong:
        raise AuditBroken(f"the audit log: {wrong}", hint="compare it with a backup of the database")
    print(f"{last.n} entries hold; head {last.n}:{last.hash}")
    return 0


def _noted(text: str) -> Entry | None:
    if not text:
        return None
    number, _, noted = text.partition(":")
    if not number.isdecimal() or not int(number) or len(noted) != 64:
        raise ConfigError("--head", "should be N:HASH as `audit verify` prints it")
    return Entry(int(number), "", noted)
