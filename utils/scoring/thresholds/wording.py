"""What is said of a fitted threshold, in lines of text."""

from collections.abc import Sequence

from utils.scoring.thresholds.bounds import Bound, Bounds
from utils.scoring.thresholds.own_threshold import (
    SAME_PERSON,
    OwnThreshold,
    Settings,
    describe_point,
)
from utils.scoring.thresholds.recordings import Embedded


def threshold_lines(own: OwnThreshold, settings: Settings) -> list[str]:
    """A fit: threshold, prior and costs, errors, marks, shift and the closest pairs of speakers."""
    counts, fitted = own.counts, own.fitted
    trials = (
        f"{counts['files']} recordings of {counts['speakers']} speakers, "
        f"{counts['target_speakers']} of whom can be compared with themselves: "
        f"{counts['targets']:,} target and {counts['nontargets']:,} nontarget trials"
    )
    threshold = (
        f"threshold: scores of at least {fitted.threshold:.4f} are accepted, "
        f"for {describe_point(settings)}"
    )
    lines = [trials, threshold]
    if fitted.calibration is not None:
        offset, slope = fitted.calibration.offset, fitted.calibration.slope
        lines.append(f"log-likelihood ratio: {offset:.4f} + {slope:.4f} x score")
    if own.mean is not None:
        lines.append(f"embeddings are centred by the mean of the {counts['speakers']} speakers")
    lines += error_lines(own.bounds)
    lines += [f"note: {mark}" for mark in own.marks]
    if own.shift is not None:
        lines.append(
            f"the model's own calibration is {-own.shift['nats']:+.2f} off here (natural "
            f"logarithm of the ratio): at its threshold of {own.shift['threshold']:.4f} "
            f"{per_thousand(own.shift['miss'])} misses and "
            f"{per_thousand(own.shift['false_alarm'])} false alarms per 1,000"
        )
    for pair in own.closest:
        question = ""
        if pair.is_suspect:
            question = f": {SAME_PERSON}"
        lines.append(
            f"closest speakers: {pair.one} and {pair.other}, mean score {pair.score:.4f}{question}"
        )
    return lines


def error_lines(bounds: Bounds) -> list[str]:
    """Misses, false alarms and the normalised cost, with their bounds."""
    cost = (
        f"normalised cost: {bounds.cost:.3f}, approximate 95 % bound {bounds.cost_bound:.3f} "
        "(1: no better than always giving one answer)"
    )
    return [
        _rate_line("misses", bounds.miss, "speakers"),
        _rate_line("false alarms", bounds.false_alarm, "pairs of speakers"),
        cost,
    ]


def _rate_line(what: str, bound: Bound, units: str) -> str:
    return (
        f"{what} per 1,000: {per_thousand(bound.rate)}, approximate 95 % bound "
        f"{per_thousand(bound.bound)}, from {bound.number} {units} that tell as much as "
        f"{bound.effective:.0f} independent ones"
    )


def check_lines(bounds: Bounds, promised: dict[str, dict[str, float]]) -> list[str]:
    """Errors on new recordings beside the bounds that the fit gave."""
    lines = error_lines(bounds)
    found = {"miss": bounds.miss, "false_alarm": bounds.false_alarm}
    names = {"miss": "misses", "false_alarm": "false alarms"}
    for key, bound in found.items():
        said = promised[key]["bound"]
        verdict = "holds"
        if bound.rate > said:
            verdict = "is exceeded"
        lines.append(f"{names[key]}: the fit's bound of {per_thousand(said)} per 1,000 {verdict}")
    return lines


def embedded_lines(embedded: Embedded) -> list[str]:
    """Recordings that are left out, and remarks on the others."""
    remarks = [f"{number} recordings: {text}" for text, number in embedded.remarks.items()]
    return [*few([f"left out: {fault}" for fault in embedded.faults]), *few(remarks)]


def few(texts: Sequence[str], shown: int = 3) -> list[str]:
    """The first of some texts, and how many more there are."""
    lines = list(texts[:shown])
    if len(texts) > shown:
        lines.append(f"... and {len(texts) - shown:,} more")
    return lines


def per_thousand(rate: float) -> str:
    """A rate as a number of 1,000, with two significant digits below 10."""
    value = 1000 * rate
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.2g}"
