"""Deploys under load, ours and Compose's own, in turn in one run. In: the number of runs of a median, the
rows. Out: rows.

Every group of rows has its own stage: receiver, project, ports. `lost_*` are summed over all of our deploys
of the group, ratios are medians of pairs, `gap_ms` is the median of the deploys' longest gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from bench import rollout_bad, rollout_cost, rollout_shop, rollout_single, rollout_stack
from bench.rows import Row, say

_GROUPS: tuple[tuple[tuple[str, ...], Callable[[int], list[Row]]], ...] = (
    (
        ("lost_new", "lost_keepalive", "lost_static_nginx", "gap_ms", "gap_idle_ratio", "wall_ratio_shop"),
        rollout_shop.measure,
    ),
    (
        ("first_reply_ratio_1s", "first_reply_ratio_0s", "first_reply_floor_1s"),
        rollout_single.measure_first_reply,
    ),
    (("wall_ratio", "wall_floor"), rollout_single.measure_wall),
    (("wall_ratio_30s",), rollout_single.measure_wall_30s),
    (("fixed_port_gap_ratio", "stop_first_gap_ratio"), rollout_single.measure_fixed_port),
    (("lost_rtt50",), rollout_single.measure_far_clients),
    (("lost_exit_at_once",), rollout_single.measure_exit_at_once),
    (("lost_replicas",), rollout_single.measure_replicas),
    (
        (
            "lost_bad_crash",
            "lost_bad_500",
            "lost_bad_silent",
            "lost_bad_image",
            "lost_bad_hook",
            "crash_seen_s",
        ),
        rollout_bad.measure,
    ),
    (("noop_ms", "noop_touched"), rollout_cost.measure_noop),
    (
        ("stack10_ratio", "stack10_peer_ratio", "stack10_against_peer", "stack10_floor"),
        rollout_stack.measure_stack,
    ),
    (("edge_latency_ms", "edge_rss_mib"), rollout_cost.measure_edge),
)
KEYS = tuple(key for keys, _ in _GROUPS for key in keys)


def measure(runs: int, only: Collection[str] = ()) -> Sequence[Row]:
    """Returns all rows, or those of the groups in `only`."""
    rows: list[Row] = []
    for keys, group in _GROUPS:
        if not only or set(keys) & set(only):
            say(f"== {' '.join(keys)}")
            rows += group(runs)
    return [row for row in rows if not only or row.key in only]
