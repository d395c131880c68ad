"""The plots of the report: DET, score histograms, calibration, EER by subset, learning curves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from statistics import NormalDist

from utils.report.decisions import format_threshold
from utils.report.svg import Axis, Plot, round_ticks

RATE_TICKS_PERCENT = (0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
HIGHEST_PERCENT = 80
HIGHEST_RATE = HIGHEST_PERCENT / 100
MOST_DOTS = 30  # of a learning curve: longer ones are lines only
Line = tuple[list[float], list[float]]
# of a training: its name, empty where there is only one; its CSS class; entries of its history
History = tuple[str, str, Sequence[Mapping]]


def det_plot(curves: Sequence[Mapping]) -> str:
    """DET curves on probit axes: straight lines if both score distributions are normal.

    A curve has ``name``, ``style`` (CSS classes), ``miss`` and ``false_alarm`` (rates in [0, 1]),
    ``eer_percent``, and optionally ``band_false_alarm``, ``band_low`` and ``band_high``.
    Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    lines = [_det_line(curve) for curve in curves]
    axis = _det_axis(lines)
    plot = Plot(
        x=axis,
        y=replace(axis, title="misses (%)"),
        width=560,
        height=560,
        label="DET curves",
    )
    diagonal = [axis.low, axis.high]
    plot.line(diagonal, diagonal, "equal", "equal error rates")
    for curve in curves:
        corners = _band_corners(curve)
        if corners:
            plot.polygon(corners, f"band {curve['style']}")
    for curve, (xs, ys) in zip(curves, lines, strict=True):
        style, eer = curve["style"], curve["eer_percent"]
        title = f"{curve['name']}: EER {eer:.2f} %"
        plot.line(xs, ys, f"line {style}", title)
        plot.dot(eer, eer, f"dot {style}", title)
    return plot.svg()


def _det_line(curve: Mapping) -> Line:
    """False alarms and misses of a curve in the range of the plot, in percent."""
    xs, ys = [], []
    for x, y in zip(curve["false_alarm"], curve["miss"], strict=True):
        if max(x, y) <= HIGHEST_RATE:
            xs.append(100 * x)
            ys.append(100 * y)
    return xs, ys


def _det_axis(lines: Sequence[Line]) -> Axis:
    """The horizontal axis of a DET plot: down to the smallest rate that isn't 0, or 0.5 %."""
    smallest = 1.0
    rates = [rate for xs, ys in lines for rate in xs + ys if rate > 0]
    if rates:
        smallest = min(rates)
    low = max(min(0.8 * smallest, 0.5), RATE_TICKS_PERCENT[0])
    ticks = []
    for tick in RATE_TICKS_PERCENT:
        if low <= tick <= HIGHEST_PERCENT:
            ticks.append((tick, f"{tick:g}"))
    return Axis(low=low, high=HIGHEST_PERCENT, ticks=ticks, title="false alarms (%)", scale=_probit)


def _probit(percent: float) -> float:
    """The quantile of the normal distribution."""
    return NormalDist().inv_cdf(percent / 100)


def _band_corners(curve: Mapping) -> list[tuple[float, float]]:
    """The outline of a curve's band, in percent: its lower edge and back along its upper edge."""
    rates = curve.get("band_false_alarm", ())
    lower, upper = [], []
    edges = (rates, curve.get("band_low", ()), curve.get("band_high", ()))
    for x, low, high in zip(*edges, strict=True):
        if x <= HIGHEST_RATE:
            lower.append((100 * x, 100 * low))
            upper.append((100 * x, 100 * high))
    return lower + upper[::-1]


def histogram_plot(curve: Mapping, threshold: float | None = None) -> str:
    """Target and nontarget scores of one system, and a threshold.

    A curve has ``name``, ``edges``, ``target_share`` and ``nontarget_share``.  An arrow at the
    border points to a threshold that is far from all scores.
    """
    edges, target, nontarget = curve["edges"], curve["target_share"], curve["nontarget_share"]
    top = 105 * max(*target, *nontarget)
    low, high = edges[0], edges[-1]
    if threshold is not None:
        width = high - low
        low, high = (
            min(low, max(threshold, low - width)),
            max(high, min(threshold, high + width)),
        )
    plot = Plot(
        x=Axis(low=low, high=high, ticks=round_ticks(low, high), title="score"),
        y=Axis(low=0, high=top, ticks=round_ticks(0, top, 4), title="share of trials (%)"),
        height=230,
        label=f"scores of {curve['name']}",
    )
    plot.area(edges, [100 * share for share in nontarget], "area nontarget", "nontarget trials")
    plot.area(edges, [100 * share for share in target], "area target", "target trials")
    if threshold is not None:
        label = f"threshold {format_threshold(threshold)}"
        if threshold < low:
            label = f"← {label}"
        elif threshold > high:
            label = f"{label} →"
        plot.mark(threshold, "threshold", label)
    return plot.svg()


def calibration_plot(curve: Mapping, style: str) -> str:
    """Scores of PAV's blocks against their log-likelihood ratios, in the colour of a CSS class.

    A curve has ``name``, ``said`` (scores) and ``found`` (log-likelihood ratios).
    """
    low = min(*curve["said"], *curve["found"]) - 0.5
    high = max(*curve["said"], *curve["found"]) + 0.5
    axis = Axis(
        low=low,
        high=high,
        ticks=round_ticks(low, high),
        title="score (log-likelihood ratio)",
    )
    plot = Plot(
        x=axis,
        y=replace(axis, title="log-likelihood ratio by PAV"),
        height=300,
        label=f"calibration of {curve['name']}",
    )
    plot.line([low, high], [low, high], "equal", "perfect calibration")
    plot.line(curve["said"], curve["found"], f"line {style}", curve["name"])
    return plot.svg()


def learning_plot(histories: Sequence[History], key: str, title: str, zero: bool = True) -> str:
    """One figure of log/history.jsonl of one or several trainings over the steps.

    Empty if no entry has it.  ``zero``: the vertical axis, which has the title, starts at 0.
    """
    lines = []
    for name, style, entries in histories:
        noted = [entry for entry in entries if entry.get(key) is not None]
        if noted:
            line = [entry["step"] for entry in noted], [entry[key] for entry in noted]
            lines.append((name, style, line))
    if not lines:
        return ""
    all_values = [value for _, _, (_, values) in lines for value in values]
    low, highest = min(all_values), max(all_values)
    height = (highest - low) or abs(highest) or 1
    high = highest + 0.05 * height
    if zero:
        low = 0
    last = max(1, *(steps[-1] for _, _, (steps, _) in lines))
    plot = Plot(
        x=Axis(low=0, high=last, ticks=round_ticks(0, last), title="step"),
        y=Axis(low=low, high=high, ticks=round_ticks(low, high, 4), title=title),
        height=230,
        label=f"{title} over steps",
    )
    for name, style, (steps, values) in lines:
        plot.line(steps, values, f"line {style}", name)
        if len(steps) <= MOST_DOTS:
            for step, value in zip(steps, values, strict=True):
                plot.dot(step, value, f"dot {style}", f"{name} step {step}: {value:.4g}".strip())
    return plot.svg()


# (subset, its marks), from the top down, with the same series in each; a mark is
# (CSS class, series, row of results.json)
BreakdownRows = Sequence[tuple[str, Sequence[tuple[str, str, Mapping]]]]


class _BreakdownPlot:
    """EER of each subset of the trials as dots with intervals, one subset below the other."""

    LEFT, RIGHT, TOP, WIDTH = 240, 70, 8, 780  # pixels
    MARK_HEIGHT, GAP = 14, 10

    def __init__(self, rows: BreakdownRows):
        self.rows = rows
        self.row_height = self.MARK_HEIGHT * len(rows[0][1]) + self.GAP
        self.bottom = self.TOP + self.row_height * len(rows)
        self.axis = self._axis()

    def _axis(self) -> Axis:
        """From 0 to the highest EER or interval; intervals above 60 % are cut."""
        highest, ends = 1.0, []
        for _, marks in self.rows:
            for _, _, row in marks:
                if row["eer_percent"] is None:
                    continue
                highest = max(highest, 1.15 * row["eer_percent"])
                if row.get("eer_percent_interval"):
                    ends.append(row["eer_percent_interval"][1])
        high = highest
        if ends:
            high = min(max(highest, *ends, 1), max(60, highest))
        return Axis(low=0, high=high, ticks=round_ticks(0, high, 7), title="EER %")

    def svg(self) -> str:
        """The whole drawing as an ``<svg>`` element."""
        size = f"0 0 {self.WIDTH} {self.bottom + 40}"
        label = "EER by subset of the trials"
        parts = [f'<svg viewBox="{size}" role="img" aria-label="{label}">']
        for value, label in self.axis.ticks:
            x = f"{self._x(value):.1f}"
            parts.append(
                f'<line class="grid" x1="{x}" x2="{x}" y1="4" y2="{self.bottom}"/>'
                f'<text x="{x}" y="{self.bottom + 16}" text-anchor="middle">{label}</text>'
            )
        for number, (subset, marks) in enumerate(self.rows):
            top = self.TOP + self.row_height * number
            middle = f"{top + self.row_height / 2:.1f}"
            right, targets = self.WIDTH - 4, marks[0][2]["targets"]
            parts.append(
                f'<text class="label" x="{self.LEFT - 12}" y="{middle}" '
                f'text-anchor="end">{escape(subset)}</text>'
                f'<text x="{right}" y="{middle}" text-anchor="end">{targets:,}</text>'
            )
            for index, (style, series, row) in enumerate(marks):
                y = top + self.MARK_HEIGHT * (index + 0.5)
                parts.append(self._mark(row, y, style, f"{series}, {subset}"))
        middle_x = (self.LEFT + self.WIDTH - self.RIGHT) / 2
        parts.append(
            f'<text x="{middle_x}" y="{self.bottom + 34}" text-anchor="middle">EER %</text>'
            f'<text x="{self.WIDTH - 4}" y="{self.bottom + 16}" text-anchor="end">targets</text>'
            "</svg>"
        )
        return "".join(parts)

    def _x(self, percent: float) -> float:
        """Horizontal pixel of a percentage."""
        return self.LEFT + self.axis.share(percent) * (self.WIDTH - self.LEFT - self.RIGHT)

    def _mark(self, row: Mapping, y: float, style: str, name: str) -> str:
        """A dot and the line of its interval; empty if the subset has no EER."""
        value, ends = row["eer_percent"], row.get("eer_percent_interval")
        if value is None:
            return ""
        title, interval = f"{escape(name)}: {value:.2f} %", ""
        if ends:
            left, right = ends
            title += f" [{left:.2f}, {right:.2f}]"
            path = f"M{self._x(left):.1f} {y}H{self._x(right):.1f}"
            interval = f'<path class="whisker {style}" d="{path}"/>'
        dot = f'<circle class="dot {style}" cx="{self._x(value):.1f}" cy="{y}" r="4.5"/>'
        return f"<g><title>{title}</title>{interval}{dot}</g>"


def breakdown_plot(rows: BreakdownRows) -> str:
    """EER of each subset of the trials, with intervals."""
    return _BreakdownPlot(rows).svg()
