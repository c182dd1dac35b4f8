"""A terminal's output as a picture. In: text with colours on standard input. Out: SVG on standard output.

Renews the README's picture of a real run:
`script -qec script/demo /dev/null | .venv/bin/python -m testing.terminal_svg > docs/demo.svg`.
"""

from __future__ import annotations

import html
import re
import sys

_COLOURS = {"1": "#ffffff", "2": "#8b949e", "31": "#ff7b72", "32": "#7ee787", "33": "#e3b341"}
_PLAIN = "#c9d1d9"
_LINE, _LETTER, _EDGE = 19, 8.05, 18
_STYLE = "font:13.4px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre"


def draw(text: str) -> str:
    """Returns the SVG; text that a carriage return overwrote is not shown."""
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.strip("\r\n").split("\n")]
    wide = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    width, height = round(wide * _LETTER + 2 * _EDGE), len(lines) * _LINE + 2 * _EDGE
    body = "".join(
        f'<text xml:space="preserve" x="{_EDGE}" y="{_EDGE + 13 + n * _LINE}">{_spans(line)}</text>\n'
        for n, line in enumerate(lines)
    )
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n'
        '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n'
        f'<g style="{_STYLE}" fill="{_PLAIN}">\n{body}</g>\n</svg>\n'
    )


def _spans(line: str) -> str:
    parts = re.split(r"\x1b\[([0-9;]*)m", line)
    spans = [html.escape(parts[0])]
    for code, text in zip(parts[1::2], parts[2::2], strict=True):
        colour = _COLOURS.get(code, _PLAIN)
        spans.append(f'<tspan fill="{colour}">{html.escape(text)}</tspan>' if text else "")
    return "".join(spans)


if __name__ == "__main__":
    sys.stdout.write(draw(sys.stdin.read()))
