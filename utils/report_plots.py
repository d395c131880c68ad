"""The plots of the report: DET curves, score histograms, learning curves."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

from utils.svg import Axis, Plot, round_ticks

RATE_TICKS_PERCENT = (0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
HIGHEST_PERCENT = 80
SERIES_COLOURS = 8  # as many as the page's style has


def det_plot(curves: Sequence[Mapping]) -> str:
    """DET curves on probit axes: a straight line where both scores are normally distributed.

    Parameters
    ----------
    curves : sequence of mappings
        ``name``, ``miss``, ``false_alarm`` (sequences of rates in [0, 1]) and ``eer_percent``.

    References
    ----------
    Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    top = HIGHEST_PERCENT / 100
    points = [[(100 * x, 100 * y) for x, y in zip(curve["false_alarm"], curve["miss"], strict=True) if max(x, y) <= top] for curve in curves]
    smallest = min((rate for pairs in points for pair in pairs for rate in pair if rate > 0), default=1.0)
    lowest = max(min(0.8 * smallest, 0.5), RATE_TICKS_PERCENT[0])
    ticks = [(tick, f"{tick:g}") for tick in RATE_TICKS_PERCENT if lowest <= tick <= HIGHEST_PERCENT]
    sides = {"low": lowest, "high": HIGHEST_PERCENT, "ticks": ticks, "scale": lambda percent: NormalDist().inv_cdf(percent / 100)}
    plot = Plot(x=Axis(title="false alarms (%)", **sides), y=Axis(title="misses (%)", **sides), width=560, height=560, label="DET curves")
    plot.line([lowest, HIGHEST_PERCENT], [lowest, HIGHEST_PERCENT], "equal", "equal error rates")
    for number, (curve, pairs) in enumerate(zip(curves, points, strict=True)):
        style, title = f"series-{number % SERIES_COLOURS}", f"{curve['name']}: EER {curve['eer_percent']:.2f} %"
        plot.line([x for x, _ in pairs], [y for _, y in pairs], f"line {style}", title)
        plot.dot(curve["eer_percent"], curve["eer_percent"], f"dot {style}", title)
    return plot.svg()


def histogram_plot(curve: Mapping) -> str:
    """Both score distributions of one system.

    Parameters
    ----------
    curve : mapping
        ``name``, ``edges``, ``target_share`` and ``nontarget_share``.
    """
    edges, target, nontarget = curve["edges"], curve["target_share"], curve["nontarget_share"]
    top = 105 * max(*target, *nontarget)
    plot = Plot(x=Axis(low=edges[0], high=edges[-1], ticks=round_ticks(edges[0], edges[-1]), title="score"),
                y=Axis(low=0, high=top, ticks=round_ticks(0, top, 4), title="share of trials (%)"), height=230, label=f"scores of {curve['name']}")
    plot.area(edges, [100 * share for share in nontarget], "area nontarget", "non-target trials")
    plot.area(edges, [100 * share for share in target], "area target", "target trials")
    return plot.svg()


def learning_plot(history: Sequence[Mapping], key: str, title: str, style: str, zero: bool = True) -> str:
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
    plot = Plot(x=Axis(low=0, high=last, ticks=round_ticks(0, last), title="step"),
                y=Axis(low=low, high=high, ticks=round_ticks(low, high, 4), title=title), height=230, label=f"{title} over steps")
    plot.line(steps, values, f"line {style}")
    if len(points) <= 30:
        for step, value in points:
            plot.dot(step, value, f"dot {style}", f"step {step}: {value:.4g}")
    return plot.svg()
