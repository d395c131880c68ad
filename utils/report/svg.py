"""Plots as inline SVG, styled by the page: light and dark, sharp on paper, no library.

Colours are the page's CSS variables (classes ``line series-0``, ``grid``, ...), so that one drawing
serves every theme.  The ``<title>`` of a mark is its tooltip.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor

LONGEST_LABEL = 6  # letters
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 12, 44  # margins in pixels, for tick labels and axis titles


@dataclass(kw_only=True)
class Axis:
    """One direction of a plot: a range, and grid lines at the ticks, with labels.

    Equal differences of ``scale``, which is monotone, are equal distances on the plot.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    title: str
    scale: Callable[[float], float] = float

    def share(self, value: float) -> float:
        """Position of a value on the axis, clipped to [0, 1]."""
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(min(max(value, self.low), self.high)) - low) / (high - low)


@dataclass(kw_only=True)
class Plot:
    """Marks on two axes, in units of the data; ``width`` and ``height`` are pixels.

    ``style`` of a mark is its CSS classes, ``title`` its tooltip; ``label`` of the plot is for
    screen readers.
    """

    x: Axis
    y: Axis
    width: int = 460
    height: int = 300
    label: str = ""
    marks: list[str] = field(default_factory=list)

    @property
    def inner_width(self) -> int:
        """Width inside the margins."""
        return self.width - LEFT - RIGHT

    @property
    def inner_height(self) -> int:
        """Height inside the margins."""
        return self.height - TOP - BOTTOM

    def at(self, x: float, y: float) -> str:
        """Pixel position of a data point, ``"x,y"``."""
        return (
            f"{LEFT + self.x.share(x) * self.inner_width:.1f},"
            f"{self.height - BOTTOM - self.y.share(y) * self.inner_height:.1f}"
        )

    def line(self, xs: Sequence[float], ys: Sequence[float], style: str, title: str = "") -> None:
        """Draw a line through points."""
        points = " ".join(self.at(x, y) for x, y in zip(xs, ys, strict=True))
        self.marks.append(
            f'<polyline class="{style}" points="{points}">{_tooltip(title)}</polyline>'
        )

    def area(
        self, edges: Sequence[float], heights: Sequence[float], style: str, title: str = ""
    ) -> None:
        """Draw the filled steps of a histogram: B + 1 edges, B heights."""
        corners = [(edges[0], self.y.low)]
        for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
            corners += [(left, height), (right, height)]
        self.polygon([*corners, (edges[-1], self.y.low)], style, title)

    def polygon(self, corners: Sequence[tuple[float, float]], style: str, title: str = "") -> None:
        """Draw a filled shape."""
        points = " ".join(self.at(x, y) for x, y in corners)
        self.marks.append(f'<polygon class="{style}" points="{points}">{_tooltip(title)}</polygon>')

    def image(self, png: bytes) -> None:
        """Fill the plot with a PNG file, which becomes part of the drawing."""
        data = b64encode(png).decode()
        self.marks.append(
            f'<image x="{LEFT}" y="{TOP}" width="{self.inner_width}" height="{self.inner_height}" '
            f'preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
        )

    def dot(self, x: float, y: float, style: str, title: str = "") -> None:
        """Draw a point."""
        px, py = self.at(x, y).split(",")
        self.marks.append(
            f'<circle class="{style}" cx="{px}" cy="{py}" r="4">{_tooltip(title)}</circle>'
        )

    def mark(self, x: float, style: str, label: str) -> None:
        """Draw a vertical line, with a label on the side where there is more room."""
        px = float(self.at(x, self.y.low).split(",")[0])
        anchor, label_x = "start", px + 5
        if px > self.width / 2:
            anchor, label_x = "end", px - 5
        self.marks.append(
            f'<line class="{style}" x1="{px}" x2="{px}" y1="{TOP}" y2="{self.height - BOTTOM}"/>'
            f'<text class="label" x="{label_x:.1f}" y="{TOP + 10}" '
            f'text-anchor="{anchor}">{escape(label)}</text>'
        )

    def svg(self) -> str:
        """The whole drawing as an ``<svg>`` element."""
        return "".join([self._head(), *self._grid(), *self.marks, self._axis_titles()])

    def _head(self) -> str:
        """The opening of the element."""
        label = escape(self.label, quote=True)
        return f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{label}">'

    def _grid(self) -> list[str]:
        """Grid lines of both axes, with their labels."""
        parts = []
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        for value, label in self.x.ticks:
            px = self.at(value, self.y.low).split(",")[0]
            parts.append(
                f'<line class="grid" x1="{px}" x2="{px}" y1="{TOP}" y2="{bottom}"/>'
                f'<text class="tick" x="{px}" y="{bottom + 15}" '
                f'text-anchor="middle">{escape(label)}</text>'
            )
        for value, label in self.y.ticks:
            py = self.at(self.x.low, value).split(",")[1]
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{py}" y2="{py}"/>'
                f'<text class="tick" x="{LEFT - 6}" y="{float(py) + 3.5:.1f}" '
                f'text-anchor="end">{escape(label)}</text>'
            )
        return parts

    def _axis_titles(self) -> str:
        """The titles of both axes, and the end of the element."""
        middle_x = (LEFT + self.width - RIGHT) / 2
        middle_y = (TOP + self.height - BOTTOM) / 2
        return (
            f'<text class="axis" x="{middle_x}" y="{self.height - 8}" '
            f'text-anchor="middle">{escape(self.x.title)}</text>'
            f'<text class="axis" transform="translate(14 {middle_y}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y.title)}</text></svg>'
        )


def _tooltip(title: str) -> str:
    """A ``<title>`` element; empty without a title."""
    return f"<title>{escape(title)}</title>" if title else ""


def round_ticks(low: float, high: float, about: int = 5) -> list[tuple[float, str]]:
    """Multiples of 1, 2 or 5 times a power of ten in a range, about as many as asked for."""
    step = _tick_step(high - low, about)
    # a bound that is a multiple counts, whatever the rounding
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    values = [k * step for k in range(first, last + 1)]
    labels = [f"{value:.10g}" for value in values]
    if max(map(len, labels), default=0) > LONGEST_LABEL and max(abs(low), abs(high)) < 1:
        labels = [_compact(value) for value in values]
    return list(zip(values, labels, strict=True))


def _tick_step(width: float, about: int) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that gives few enough ticks."""
    for power in range(-12, 13):
        for factor in (1, 2, 5):
            step = factor * 10.0**power
            if width / step < about + 1:
                return step
    raise ValueError(f"no ticks for a range of {width:g}")


def _compact(value: float) -> str:
    """A small number that fits beside an axis: ``1.5e-4``."""
    if value == 0:
        return "0"
    digits, _, power = f"{value:.3e}".partition("e")
    return f"{float(digits):g}e{int(power)}"
