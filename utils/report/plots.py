"""The plots of the report: DET curves, score histograms, calibration, breakdown, learning curves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from statistics import NormalDist

from utils.report.decisions import shown
from utils.report.svg import Axis, Plot, round_ticks

RATE_TICKS_PERCENT = (0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
HIGHEST_PERCENT = 80


def det_plot(curves: Sequence[Mapping]) -> str:
    """DET curves on probit axes: a straight line where both scores are normally distributed.

    Parameters
    ----------
    curves : sequence of mappings
        ``name``, ``style`` (CSS classes), ``miss``, ``false_alarm`` (sequences of rates in [0, 1]) and ``eer_percent``; where there is a band,
        ``band_false_alarm``, ``band_low`` and ``band_high``.

    References
    ----------
    Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    top = HIGHEST_PERCENT / 100
    points = [
        [
            (100 * x, 100 * y)
            for x, y in zip(curve["false_alarm"], curve["miss"], strict=True)
            if max(x, y) <= top
        ]
        for curve in curves
    ]
    smallest = min(
        (rate for pairs in points for pair in pairs for rate in pair if rate > 0), default=1.0
    )
    lowest = max(min(0.8 * smallest, 0.5), RATE_TICKS_PERCENT[0])
    ticks = [
        (tick, f"{tick:g}") for tick in RATE_TICKS_PERCENT if lowest <= tick <= HIGHEST_PERCENT
    ]
    across = Axis(
        low=lowest,
        high=HIGHEST_PERCENT,
        ticks=ticks,
        title="false alarms (%)",
        scale=lambda percent: NormalDist().inv_cdf(percent / 100),
    )
    plot = Plot(
        x=across,
        y=replace(across, title="misses (%)"),
        width=560,
        height=560,
        label="DET curves",
    )
    plot.line([lowest, HIGHEST_PERCENT], [lowest, HIGHEST_PERCENT], "equal", "equal error rates")
    for curve in curves:
        edge = list(
            zip(
                curve.get("band_false_alarm", ()),
                curve.get("band_low", ()),
                curve.get("band_high", ()),
                strict=True,
            )
        )
        corners = [(100 * x, 100 * low) for x, low, _ in edge if x <= top] + [
            (100 * x, 100 * high) for x, _, high in reversed(edge) if x <= top
        ]
        if corners:
            plot.polygon(corners, f"band {curve['style']}")
    for curve, pairs in zip(curves, points, strict=True):
        style, title = curve["style"], f"{curve['name']}: EER {curve['eer_percent']:.2f} %"
        plot.line([x for x, _ in pairs], [y for _, y in pairs], f"line {style}", title)
        plot.dot(curve["eer_percent"], curve["eer_percent"], f"dot {style}", title)
    return plot.svg()


def histogram_plot(curve: Mapping, threshold: float | None = None) -> str:
    """Both score distributions of one system.

    Parameters
    ----------
    curve : mapping
        ``name``, ``edges``, ``target_share`` and ``nontarget_share``.
    threshold : float or None
        A score that is marked; an arrow at the edge points to one that lies far beyond all scores.
    """
    edges, target, nontarget = curve["edges"], curve["target_share"], curve["nontarget_share"]
    top = 105 * max(*target, *nontarget)
    low, high = edges[0], edges[-1]
    if threshold is not None:
        reach = high - low
        low, high = (
            min(low, max(threshold, low - reach)),
            max(high, min(threshold, high + reach)),
        )
    plot = Plot(
        x=Axis(low=low, high=high, ticks=round_ticks(low, high), title="score"),
        y=Axis(low=0, high=top, ticks=round_ticks(0, top, 4), title="share of trials (%)"),
        height=230,
        label=f"scores of {curve['name']}",
    )
    plot.area(edges, [100 * share for share in nontarget], "area nontarget", "non-target trials")
    plot.area(edges, [100 * share for share in target], "area target", "target trials")
    if threshold is not None:
        left, right = "← " if threshold < low else "", " →" if threshold > high else ""
        plot.mark(threshold, "threshold", f"{left}threshold {shown(threshold)}{right}")
    return plot.svg()


def calibration_plot(curve: Mapping, style: str) -> str:
    """What scores say against what they should say.

    Parameters
    ----------
    curve : mapping
        ``name``, ``said`` and ``found`` (log-likelihood ratios of the blocks of PAV).
    style : str
        CSS class of its colour.
    """
    low, high = (chosen(*curve["said"], *curve["found"]) for chosen in (min, max))
    across = Axis(
        low=low - 0.5,
        high=high + 0.5,
        ticks=round_ticks(low - 0.5, high + 0.5),
        title="score (log-likelihood ratio)",
    )
    plot = Plot(
        x=across,
        y=replace(across, title="borne out"),
        height=300,
        label=f"calibration of {curve['name']}",
    )
    plot.line(
        [low - 0.5, high + 0.5], [low - 0.5, high + 0.5], "equal", "scores mean what they say"
    )
    plot.line(curve["said"], curve["found"], f"line {style}", curve["name"])
    return plot.svg()


def breakdown_plot(rows: Sequence[tuple[str, Sequence[tuple[str, str, Mapping]]]]) -> str:
    """EER of each subset of the trials as a dot with its interval, one subset below the other.

    Parameters
    ----------
    rows : sequence of (subset, sequence of (style, series, row of results.json))
        From the top down; the same series in each.
    """
    each, left, right, width = 14, 240, 70, 780
    step = each * len(rows[0][1]) + 10
    known = [row for _, marks in rows for _, _, row in marks if row["eer_percent"] is not None]
    highest = max([1.0, *(1.15 * row["eer_percent"] for row in known)])
    ends = [row["eer_percent_interval"][1] for row in known if row.get("eer_percent_interval")]
    axis = Axis(
        low=0,
        high=min(max(highest, *ends, 1), max(60, highest)) if ends else highest,
        ticks=(),
        title="EER %",
    )
    axis.ticks = round_ticks(0, axis.high, 7)
    bottom = 8 + step * len(rows)
    parts = [
        f'<svg viewBox="0 0 {width} {bottom + 40}" role="img" aria-label="EER by subset of the trials">'
    ]

    def across(value: float) -> float:
        return left + axis.place(value) * (width - left - right)

    for value, label in axis.ticks:
        parts.append(
            f'<line class="grid" x1="{across(value):.1f}" x2="{across(value):.1f}" y1="4" y2="{bottom}"/>'
            f'<text x="{across(value):.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>'
        )
    for number, (subset, marks) in enumerate(rows):
        top = 8 + step * number
        targets = marks[0][2]["targets"]
        parts.append(
            f'<text class="label" x="{left - 12}" y="{top + step / 2:.1f}" text-anchor="end">{escape(subset)}</text>'
            f'<text x="{width - 4}" y="{top + step / 2:.1f}" text-anchor="end">{targets:,}</text>'
        )
        for place, (style, series, row) in enumerate(marks):
            y, name = top + each * (place + 0.5), f"{series}, {subset}"
            parts.append(mark_with_interval(row, across, y, style, name))
    parts.append(
        f'<text x="{(left + width - right) / 2}" y="{bottom + 34}" text-anchor="middle">EER %</text>'
        f'<text x="{width - 4}" y="{bottom + 16}" text-anchor="end">targets</text></svg>'
    )
    return "".join(parts)


def mark_with_interval(
    row: Mapping, across: Callable[[float], float], y: float, style: str, name: str
) -> str:
    """A dot and a whisker; nothing where a subset has no EER.

    Parameters
    ----------
    row : mapping
        Of results.json.
    across : callable
        Horizontal pixel of a percentage.
    y : float
        Vertical pixel.
    style, name : str
        CSS class of the colour, and what the pointer shows.
    """
    value, ends = row["eer_percent"], row.get("eer_percent_interval")
    if value is None:
        return ""
    title, whisker = f"{escape(name)}: {value:.2f} %", ""
    if ends:
        left, right = ends
        title += f" [{left:.2f}, {right:.2f}]"
        path = f"M{across(left):.1f} {y}H{across(right):.1f}"
        whisker = f'<path class="whisker {style}" d="{path}"/>'
    dot = f'<circle class="dot {style}" cx="{across(value):.1f}" cy="{y}" r="4.5"/>'
    return f"<g><title>{title}</title>{whisker}{dot}</g>"


def learning_plot(
    history: Sequence[Mapping], key: str, title: str, style: str, zero: bool = True
) -> str:
    """One figure of the training log over the steps; empty where the log has none.

    Parameters
    ----------
    history : sequence of mappings
        ``step`` and some figures each.
    key : str
        Which figure.
    title : str
        Title of the vertical axis.
    style : str
        CSS class of its colour.
    zero : bool
        The vertical axis starts at 0.
    """
    points = [(entry["step"], entry[key]) for entry in history if entry.get(key) is not None]
    if not points:
        return ""
    steps, values = [step for step, _ in points], [value for _, value in points]
    low, high = min(values), max(values)
    low, high = (0 if zero else low), high + 0.05 * ((high - low) or abs(high) or 1)
    last = max(steps[-1], 1)
    plot = Plot(
        x=Axis(low=0, high=last, ticks=round_ticks(0, last), title="step"),
        y=Axis(low=low, high=high, ticks=round_ticks(low, high, 4), title=title),
        height=230,
        label=f"{title} over steps",
    )
    plot.line(steps, values, f"line {style}")
    if len(points) <= 30:
        for step, value in points:
            plot.dot(step, value, f"dot {style}", f"step {step}: {value:.4g}")
    return plot.svg()
