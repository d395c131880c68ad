"""Plots as inline SVG, styled by the page: light and dark, sharp on paper, no library.

Colours are the page's CSS variables (classes ``line series-0``, ``grid``, ...), so that one drawing serves every theme; a
``<title>`` inside a mark is shown when the pointer rests on it.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor

LONGEST_LABEL = 6  # letters
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 12, 44  # margins in pixels: room for tick labels and axis titles


@dataclass(kw_only=True)
class Axis:
    """One direction of a plot.

    Parameters
    ----------
    low, high : float
        Range shown, in units of the data.
    ticks : sequence of (float, str)
        Where there is a grid line, and its label.
    title : str
        What is shown, with its unit.
    scale : callable
        Monotone; equal distances of its values are equal distances on the plot.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    title: str
    scale: Callable[[float], float] = float

    def place(self, value: float) -> float:
        """Share of the axis left of (below) a value, clipped to [0, 1].

        Parameters
        ----------
        value : float
            In units of the data.
        """
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(min(max(value, self.low), self.high)) - low) / (high - low)


@dataclass(kw_only=True)
class Plot:
    """Marks on two axes.

    Parameters
    ----------
    x, y : Axis
        Horizontal and vertical.
    width, height : int
        Size in pixels before the page scales it.
    label : str
        What a screen reader says.
    """

    x: Axis
    y: Axis
    width: int = 460
    height: int = 300
    label: str = ""
    marks: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> str:
        """Pixel position of a data point, ``"x,y"``.

        Parameters
        ----------
        x, y : float
            In units of the data.
        """
        return (
            f"{LEFT + self.x.place(x) * (self.width - LEFT - RIGHT):.1f},"
            f"{self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM):.1f}"
        )

    def line(self, xs: Sequence[float], ys: Sequence[float], style: str, title: str = "") -> None:
        """Draw a line through points.

        Parameters
        ----------
        xs, ys : sequences of float
            In units of the data.
        style : str
            CSS classes.
        title : str
            Shown under the pointer.
        """
        points = " ".join(self.at(x, y) for x, y in zip(xs, ys, strict=True))
        self.marks.append(
            f'<polyline class="{style}" points="{points}">{tooltip(title)}</polyline>'
        )

    def area(
        self, edges: Sequence[float], heights: Sequence[float], style: str, title: str = ""
    ) -> None:
        """Draw the filled steps of a histogram.

        Parameters
        ----------
        edges, heights : sequences of B + 1 and B floats
            Bins.
        style, title : str
            As for `line`.
        """
        corners = [(edges[0], self.y.low)]
        for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
            corners += [(left, height), (right, height)]
        self.polygon([*corners, (edges[-1], self.y.low)], style, title)

    def polygon(self, corners: Sequence[tuple[float, float]], style: str, title: str = "") -> None:
        """Draw a filled shape.

        Parameters
        ----------
        corners : sequence of (float, float)
            In units of the data.
        style, title : str
            As for `line`.
        """
        points = " ".join(self.at(x, y) for x, y in corners)
        self.marks.append(f'<polygon class="{style}" points="{points}">{tooltip(title)}</polygon>')

    def image(self, png: bytes) -> None:
        """Fill the plot with an image, whose edges are the ends of the axes.

        Parameters
        ----------
        png : bytes
            Contents of the PNG file; they become part of the drawing.
        """
        data = b64encode(png).decode()
        self.marks.append(
            f'<image x="{LEFT}" y="{TOP}" width="{self.width - LEFT - RIGHT}" height="{self.height - TOP - BOTTOM}" '
            f'preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
        )

    def dot(self, x: float, y: float, style: str, title: str = "") -> None:
        """Draw a point.

        Parameters
        ----------
        x, y : float
            In units of the data.
        style, title : str
            As for `line`.
        """
        px, py = self.at(x, y).split(",")
        self.marks.append(
            f'<circle class="{style}" cx="{px}" cy="{py}" r="4">{tooltip(title)}</circle>'
        )

    def mark(self, x: float, style: str, label: str) -> None:
        """Draw a line from the bottom to the top, with a label on the side where there is more room.

        Parameters
        ----------
        x : float
            In units of the data.
        style : str
            CSS classes.
        label : str
            Plain text.
        """
        px = float(self.at(x, self.y.low).split(",")[0])
        is_right = px > self.width / 2
        anchor, place = ("end", px - 5) if is_right else ("start", px + 5)
        self.marks.append(
            f'<line class="{style}" x1="{px}" x2="{px}" y1="{TOP}" y2="{self.height - BOTTOM}"/>'
            f'<text class="label" x="{place:.1f}" y="{TOP + 10}" text-anchor="{anchor}">{escape(label)}</text>'
        )

    def svg(self) -> str:
        """The whole drawing as an ``<svg>`` element."""
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        parts = [
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(self.label, quote=True)}">'
        ]
        for value, label in self.x.ticks:
            px = self.at(value, self.y.low).split(",")[0]
            parts.append(
                f'<line class="grid" x1="{px}" x2="{px}" y1="{TOP}" y2="{bottom}"/>'
                f'<text class="tick" x="{px}" y="{bottom + 15}" text-anchor="middle">{escape(label)}</text>'
            )
        for value, label in self.y.ticks:
            py = self.at(self.x.low, value).split(",")[1]
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{py}" y2="{py}"/>'
                f'<text class="tick" x="{LEFT - 6}" y="{float(py) + 3.5:.1f}" text-anchor="end">{escape(label)}</text>'
            )
        middle_x, middle_y = (LEFT + right) / 2, (TOP + bottom) / 2
        parts += self.marks
        parts.append(
            f'<text class="axis" x="{middle_x}" y="{self.height - 8}" text-anchor="middle">{escape(self.x.title)}</text>'
            f'<text class="axis" transform="translate(14 {middle_y}) rotate(-90)" text-anchor="middle">{escape(self.y.title)}</text></svg>'
        )
        return "".join(parts)


def tooltip(title: str) -> str:
    """A ``<title>`` element, or nothing.

    Parameters
    ----------
    title : str
        Plain text.
    """
    return f"<title>{escape(title)}</title>" if title else ""


def round_ticks(low: float, high: float, about: int = 5) -> list[tuple[float, str]]:
    """Multiples of 1, 2 or 5 times a power of ten inside a range.

    Parameters
    ----------
    low, high : float
        The range; ``low < high``.
    about : int
        How many ticks are wanted.
    """
    step = next(
        step
        for power in range(-12, 13)
        for factor in (1, 2, 5)
        if (high - low) / (step := factor * 10.0**power) < about + 1
    )
    # a bound that is a multiple counts, rounding or not
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    plain = [f"{k * step:.10g}" for k in range(first, last + 1)]
    if max(map(len, plain), default=0) > LONGEST_LABEL and max(abs(low), abs(high)) < 1:
        plain = [compact(k * step) for k in range(first, last + 1)]
    return [(k * step, label) for k, label in zip(range(first, last + 1), plain, strict=True)]


def compact(value: float) -> str:
    """A small number that fits beside an axis: ``1.5e-4``.

    Parameters
    ----------
    value : float
        A round number.
    """
    digits, _, power = f"{value:.3e}".partition("e")
    return f"{float(digits):g}e{int(power)}" if value else "0"
