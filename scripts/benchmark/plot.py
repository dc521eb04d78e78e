"""The targets as a bar chart, in SVG written by hand: no library for a few dozen bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from scripts.benchmark.targets import Outcome

_ROW, _TOP, _LEFT, _WIDTH, _RIGHT = 26, 56, 290, 420, 230
_DECADES = 4
_REACHED, _MISSED = "#2f7d5b", "#b5482f"


def svg(outcomes: Sequence[Outcome]) -> str:
    """One bar for each target, on a logarithmic scale: how many times better than wanted; at 1 it is just reached."""
    outcomes = [outcome for outcome in outcomes if outcome.target.limit is not None]
    height = _TOP + _ROW * len(outcomes) + 34
    middle = _LEFT + _WIDTH / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">Ours against the target: longer to the right is better</text>',
    ]
    for exponent in range(-_DECADES // 2, _DECADES // 2 + 1):
        x = _position(10.0**exponent)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 30}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{_TOP - 14}" text-anchor="middle" fill="#777">{10.0**exponent:g} x</text>')
    for row, outcome in enumerate(outcomes):
        y = _TOP + row * _ROW
        end = _position(_betterness(outcome))
        colour = _REACHED if outcome.is_reached else _MISSED
        limit = f"{'at most' if outcome.target.is_time else 'at least'} {outcome.target.limit:g}"
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(outcome.target.name)}</text>',
            f'<rect x="{min(middle, end):.1f}" y="{y + 3}" width="{abs(end - middle):.1f}" height="{_ROW - 8}"'
            f' fill="{colour}"/>',
            f'<text x="{_LEFT + _WIDTH + 8}" y="{y + 15}">{outcome.ratio:.3g} x {escape(outcome.contender)}'
            f" ({limit})</text>",
        ]
    parts.append(
        f'<line x1="{middle}" x2="{middle}" y1="{_TOP - 8}" y2="{height - 30}" stroke="black" stroke-width="1.5"/>'
    )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _betterness(outcome: Outcome) -> float:
    limit = outcome.target.limit
    assert limit is not None
    return limit / outcome.ratio if outcome.target.is_time else outcome.ratio / limit


def _position(betterness: float) -> float:
    """On the x axis; what is off the scale stays at its end."""
    exponent = max(-_DECADES / 2, min(_DECADES / 2, math.log10(betterness)))
    return _LEFT + _WIDTH * (exponent / _DECADES + 0.5)
