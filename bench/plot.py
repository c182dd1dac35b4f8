"""One deploy as a picture. In: the users' requests during both contestants' deploys. Out: an SVG: requests
per 100 ms by the version that answered, lost requests in red. Follows the reader's light or dark theme.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.contest import Deploy
from testing.load.http_load import Report

_WIDTH, _LEFT, _RIGHT = 860, 52, 12
_HEIGHT, _TOP, _BETWEEN = 116, 58, 62  # size of one panel
_BUCKET = 0.1
_STYLE = """
text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 } .dim { fill: #59636e }
.old { fill: #8c959f } .new { fill: #1f883d } .lost { fill: #cf222e }
.grid { stroke: #d1d9e0 } .mark { stroke: #59636e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .dim { fill: #9198a1 }
  .old { fill: #656c76 } .new { fill: #3fb950 } .lost { fill: #f85149 }
  .grid { stroke: #3d444d } .mark { stroke: #9198a1 }
}"""


def save_plot(ours: Deploy, theirs: Deploy) -> Path:
    """Writes to $DEPLOYER_BENCH_PLOT, else to the system's folder for temporary files."""
    path = Path(os.environ.get("DEPLOYER_BENCH_PLOT") or "/tmp/deployer-rollout.svg")
    path.write_text(draw(ours, theirs), encoding="utf-8")
    return path


def draw(ours: Deploy, theirs: Deploy) -> str:
    """Draws both panels with one scale of time and of requests."""
    panels = (("deployer", ours), ("docker compose pull && docker compose up -d --wait", theirs))
    length = max(_length(deploy.report) for _, deploy in panels)
    most = max(sum(counts) for _, deploy in panels for counts in _buckets(deploy.report, length))
    height = _TOP + 2 * _HEIGHT + _BETWEEN + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        f' aria-label="Requests during a deploy">',
        f"<style>{_STYLE}</style>",
        *_legend(),
    ]
    for number, (title, deploy) in enumerate(panels):
        top = _TOP + number * (_HEIGHT + _BETWEEN)
        parts += _panel(title, deploy, top, length, most)
    return "\n".join((*parts, "</svg>", ""))


def _legend() -> Iterator[str]:
    x = _LEFT
    for kind, text in (("old", "old version"), ("new", "new version"), ("lost", "lost")):
        yield f'<rect class="{kind}" x="{x}" y="12" width="11" height="11" rx="2"/>'
        yield f'<text class="dim" x="{x + 16}" y="22">{text}</text>'
        x += 34 + 7 * len(text)
    yield f'<text class="dim" x="{_WIDTH - _RIGHT}" y="22" text-anchor="end">requests per 100 ms</text>'


def _panel(title: str, deploy: Deploy, top: int, length: float, most: int) -> Iterator[str]:
    report = deploy.report
    lost = sum(not sample.good for sample in report.samples)
    told = f"{lost} of {len(report.samples)} requests lost, longest gap {_time(report.gap_ms)}"
    escaped = title.replace("&", "&amp;")
    yield f'<text class="head" x="{_LEFT}" y="{top - 9}">{escaped}</text>'
    yield f'<text x="{_WIDTH - _RIGHT}" y="{top - 9}" text-anchor="end">{told}</text>'
    for share in (0.0, 0.5, 1.0):
        y = top + _HEIGHT * (1 - share)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="dim" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{most * share:.0f}</text>'
    step = (_WIDTH - _LEFT - _RIGHT) * _BUCKET / length
    for n, counts in enumerate(_buckets(report, length)):
        y = float(top + _HEIGHT)
        for kind, count in zip(("old", "new", "lost"), counts, strict=True):
            if count:
                high = _HEIGHT * count / most
                y -= high
                x = _LEFT + n * step
                yield (
                    f'<rect class="{kind}" x="{x:.2f}" y="{y:.2f}" width="{max(0.5, step - 0.6):.2f}"'
                    f' height="{high:.2f}"/>'
                )
    for at, text in ((0.5, "deploy"), (0.5 + deploy.wall, f"done after {deploy.wall:.1f} s")):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * at / length
        anchor = "middle" if x < _WIDTH - 80 else "end"
        yield f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + _HEIGHT + 6}"/>'
        yield f'<text class="dim" x="{x:.1f}" y="{top + _HEIGHT + 20}" text-anchor="{anchor}">{text}</text>'


def _buckets(report: Report, length: float) -> Sequence[tuple[int, int, int]]:
    """Counts answers of the old version, of the new version, and lost requests, by their start."""
    first = next((_version(sample.text) for sample in report.samples if sample.good), "")
    found = [[0, 0, 0] for _ in range(int(length / _BUCKET) + 1)]
    for sample in report.samples:
        kind = 2 if not sample.good else int(_version(sample.text) != first)
        found[min(len(found) - 1, int(sample.at / _BUCKET))][kind] += 1
    return [(old, new, lost) for old, new, lost in found]


def _version(text: str) -> str:
    try:
        return str(json.loads(text)["version"])
    except (ValueError, KeyError, TypeError):
        return text


def _length(report: Report) -> float:
    return max(sample.at for sample in report.samples)


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
