"""`python -m bench NAME [--json] [--runs N]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from bench import action, receiver, rollout, scale, slow
from bench.rows import Row, as_json, as_table

_BENCHES: dict[str, tuple[Callable[[int], Sequence[Row]], str]] = {
    "action": (action.measure, "the action against bake and against one build for every image"),
    "receiver": (receiver.measure, "deliveries accepted and stored, against Debian's webhook"),
    "rollout": (rollout.measure, "a deploy under load, against docker compose pull && up -d --wait"),
    "scale": (scale.measure, "1,000 apps and 100,000 past deployments, against an empty server"),
    "slow": (slow.measure, "an honest client among 1,000 slow ones and 200 viewers"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench", description="Measured comparisons.")
    parser.add_argument("name", nargs="?", choices=sorted(_BENCHES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=5, help="runs that a median is made of (default 5)")
    parser.add_argument("--only", default="", metavar="KEY,…", help="these rows only (rollout)")
    arguments = parser.parse_args()
    if arguments.name is None:
        print("\n".join(f"{name:<10} {text}" for name, (_, text) in sorted(_BENCHES.items())))
        return 0
    only = tuple(filter(None, arguments.only.split(",")))
    if unknown := set(only) - set(rollout.KEYS if arguments.name == "rollout" else ()):
        parser.error(f"no rows {', '.join(sorted(unknown))}; rollout has {' '.join(rollout.KEYS)}")
    rows = rollout.measure(arguments.runs, only) if only else _BENCHES[arguments.name][0](arguments.runs)
    print(as_json(arguments.name, rows) if arguments.json else as_table(arguments.name, rows))
    missed = [row.key for row in rows if not row.holds]
    if missed:
        print(f"not held: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
