"""A line chart over lengths as an SVG element that takes its colours from the page around it.

Lengths stand in doublings from left to right. Colours, markers, dashes and letters at the ends tell lines apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ctxext.reporting.block import length_name

WIDTH, HEIGHT = 400, 290
LEFT, RIGHT, TOP, BOTTOM = 46, 22, 16, 40
COLOURS, MARKERS, DASHES = 5, 5, ("", "6 3", "2 3")
LETTER = 11.0
SHARE, AMOUNT, ANY = "share", "amount", "any"
CROWDED = 3.0
"""How many times the others' largest value one may be before it leaves the picture."""


@dataclass(frozen=True)
class Series:
    """A line through `points` (length, value, low, high; bounds may be equal to the value), `mark` at its end.

    `look` is "base", "truncated", or the number of a run.
    """

    name: str
    mark: str
    look: str
    points: Sequence[tuple[int, float, float, float]]

    @property
    def colour(self) -> str:
        """Return the class that colours the line."""
        return f"run{int(self.look) % COLOURS}" if self.look.isdigit() else self.look

    @property
    def dashes(self) -> str:
        """Return how the line is broken."""
        return DASHES[int(self.look) // COLOURS % len(DASHES)] if self.look.isdigit() else "4 2" * (self.look != "base")

    @property
    def marker(self) -> int:
        """Return the number of the marker's shape."""
        return (int(self.look) + int(self.look) // COLOURS) % MARKERS if self.look.isdigit() else 0


@dataclass(frozen=True)
class Chart:
    """What a chart shows: `unit` names the values, which are between 0 and 1, amounts above 0, or any numbers."""

    title: str
    unit: str
    series: Sequence[Series]
    trained: int
    targets: Sequence[int]
    kind: str = ANY
    chance: float = 0.0

    @property
    def lengths(self) -> list[int]:
        """Return all lengths that have a point."""
        return sorted({point[0] for series in self.series for point in series.points})

    @property
    def limits(self) -> tuple[float, float]:
        """Return the smallest and the largest value shown: a base that breaks leaves the picture."""
        if self.kind == SHARE:
            return 0.0, 1.0
        others = [point for series in self.series if series.look != "base" for point in series.points]
        every = [point for series in self.series for point in series.points]
        top = max(point[3] for point in others or every)
        highest = max(point[3] for point in every)
        inside = [point for point in every if point[1] <= CROWDED * top]
        top = highest if highest <= CROWDED * top else max(point[3] for point in inside if point[1] <= top * 1.5)
        bottom = min(point[2] for point in inside)
        if self.kind == AMOUNT:
            return 0.0, 1.06 * top or 1.0
        margin = 0.06 * (top - bottom) or 0.1 * abs(top) or 1.0
        return max(bottom - margin, bottom / 1.1 if bottom > 0 else bottom - margin), top + margin

    @property
    def is_logarithmic(self) -> bool:
        """Return whether values span a decade or more."""
        low, high = self.limits
        return low > 0 and high > 10 * low

    @property
    def outside(self) -> list[str]:
        """Return a sentence on each line that leaves the picture."""
        high = self.limits[1]
        leaves = {series.name: [point for point in series.points if point[1] > high] for series in self.series}
        return [
            f"{name} leaves the picture at {points[0][0]} ({points[0][1]:.3g})"
            for name, points in leaves.items()
            if points
        ]

    def across(self, length: float) -> float:
        """Return where `length` stands from the left: 0 one doubling before the shortest, all in doublings."""
        first = math.log2(next((length for length in self.lengths if length > 0), 1))
        start = first - 1 if 0 in self.lengths else first
        span = max(math.log2(max(*self.lengths, 2)) - start, 1e-9)
        place = start if length == 0 else math.log2(length)
        return LEFT + 10 + (place - start) / span * (WIDTH - LEFT - RIGHT - 20)

    def down(self, value: float) -> float:
        """Return where `value` stands from the top."""
        low, high = self.limits
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low / 10))
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)


def drawn(chart: Chart, number: int) -> str:
    """Return `chart`, the page's picture `number`, as an SVG element with a text for those who don't see it."""
    identity = f"picture{number}"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{identity}-title {identity}-text">',
        f'<title id="{identity}-title">{escape(chart.title)}</title>',
        f'<desc id="{identity}-text">{escape(described(chart))}</desc>',
        f'<clipPath id="{identity}-frame"><rect x="{LEFT}" y="{TOP - 6}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM + 12}"/></clipPath>',
        *axes(chart),
        f'<g clip-path="url(#{identity}-frame)">',
        *(line for index, series in enumerate(chart.series) for line in curve(chart, series, index)),
        "</g>",
        *end_marks(chart),
        "</svg>",
    ]
    return "\n".join(parts)


def described(chart: Chart) -> str:
    """Return the values of `chart` in words."""
    said = [
        f"{series.name}: " + ", ".join(f"{value:.3g} at {length_name(length)}" for length, value, _, _ in series.points)
        for series in chart.series
    ]
    return f"{chart.unit} against length in tokens, trained at {chart.trained}. " + "; ".join(said) + "."


def axes(chart: Chart) -> list[str]:
    """Return grid, ticks, names of the axes, and the lines at the trained and the target lengths."""
    base, parts = HEIGHT - BOTTOM, []
    for value in ticks(chart):
        y = chart.down(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    if chart.chance:
        y = chart.down(chart.chance)
        parts.append(f'<path class="mark" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="note" x="{LEFT + 2}" y="{y - 3:.1f}">chance</text>')
    for length in chart.lengths:
        x, kind = chart.across(length), "tick" if length else "note"
        name = length_name(length)
        parts.append(f'<text class="{kind}" x="{x:.1f}" y="{base + 16}" text-anchor="middle">{name}</text>')
    names = {chart.trained: "trained"} | {
        target: "trained, target" if target == chart.trained else "target" for target in chart.targets
    }
    for length, name in names.items():
        if chart.lengths and max(chart.lengths[0], 1) <= length <= chart.lengths[-1]:
            x = chart.across(length)
            parts.append(f'<path class="mark" d="M{x:.1f} {TOP - 4}V{base}"/>')
            parts.append(f'<text class="note" x="{x:.1f}" y="{TOP - 6}" text-anchor="middle">{name}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<path class="axis" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>')
    parts.append(f'<text class="note" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">length (tokens)</text>')
    return parts


def ticks(chart: Chart) -> list[float]:
    """Return round values between the limits of `chart`, about five."""
    low, high = chart.limits
    if chart.is_logarithmic:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if high / low < 1000 else (1,)
        return [step * 10.0**power for power in decades for step in steps if low <= step * 10.0**power <= high]
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough)
    return [round(step * count, 12) for count in range(math.ceil(low / step), math.floor(high / step) + 1)]


def curve(chart: Chart, series: Series, index: int) -> list[str]:
    """Return the line of `series`, its markers, and a bar for each interval, moved a little so that all are seen."""
    aside = (index - (len(chart.series) - 1) / 2) * min(3.0, 18 / len(chart.series))
    spots = [(chart.across(point[0]) + aside, chart.down(point[1]), point) for point in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in spots)
    parts = [f'<g class="{series.colour}">']
    for x, _, (_, _, low, high) in spots:
        if low < high:
            parts.append(f'<path class="bar" d="M{x:.1f} {chart.down(low):.1f}V{chart.down(high):.1f}"/>')
    parts.append(f'<polyline points="{path}" stroke-dasharray="{series.dashes}"/>')
    for x, y, (length, value, low, high) in spots:
        told = f"{series.name} at {length_name(length)}: {value:.4g}"
        told += f" ({low:.4g} to {high:.4g})" if low < high else ""
        parts.append(f"{marker(series, x, y)[:-2]}><title>{escape(told)}</title></path>")
    return [*parts, "</g>"]


def marker(series: Series, x: float, y: float) -> str:
    """Return the marker of `series` at a point: a disc, a square, a diamond or a triangle."""
    shapes = (
        "m-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0z",
        "m-3 -3h6v6h-6z",
        "m0 -4.4l4.4 4.4l-4.4 4.4l-4.4 -4.4z",
        "m0 -4l4 7h-8z",
        "m0 4l4 -7h-8z",
    )
    return f'<path class="dot" d="M{x:.1f} {y:.1f}{shapes[series.marker]}"/>'


def end_marks(chart: Chart) -> list[str]:
    """Return the letter of each run at the right end of its line, moved apart where they would overlap."""
    ends = [(chart.down(series.points[-1][1]) + 4, series) for series in chart.series if series.mark]
    ends.sort(key=lambda end: end[0])
    places: list[float] = []
    ceiling = HEIGHT - BOTTOM + 4.0
    for y, _ in ends:
        places.append(max(y, places[-1] + LETTER) if places else y)
    for index in reversed(range(len(places))):
        places[index] = ceiling = min(places[index], ceiling)
        ceiling -= LETTER
    return [
        f'<text class="letter {series.colour}" x="{chart.across(series.points[-1][0]) + 10:.1f}" y="{y:.1f}">'
        f"{escape(series.mark)}</text>"
        for y, (_, series) in zip(places, ends, strict=True)
    ]


def swatch(series: Series) -> str:
    """Return a short piece of the line of `series`, for the legend."""
    line = f'<path d="M1 7H27" stroke-dasharray="{series.dashes}"/>'
    return f'<svg class="swatch" viewBox="0 0 28 14" aria-hidden="true"><g class="{series.colour}">{line}' + (
        f"{marker(series, 14, 7)}</g></svg>"
    )
