"""The report's words for people who decide: what is refused and accepted at a threshold."""

from collections.abc import Mapping
from typing import NamedTuple

SMALLEST_GROUP = 100  # people in a sentence such as "of 100 genuine attempts 3 are refused"
HEADLINE_POINT = "0.01"  # operating point of the threshold that histograms show
NO_RATIOS = "Bayes thresholds apply to log-likelihood ratios only, which these scores are not."


class Share(NamedTuple):
    """A share in words: ``number`` of ``group``, and the verb that follows."""

    group: str
    number: str
    verb: str


def share_in_words(share: float, trials: int) -> Share:
    """A share in [0, 1] in the smallest group that shows it: 3 of 100, 2 of 1,000.

    Shares of 0 and 1 refer to the number of trials.
    """
    if share <= 0:
        return Share(f"{trials:,}", "none", "is")
    if share >= 1:
        return Share(f"{trials:,}", f"all {trials:,}", "are")
    group = SMALLEST_GROUP
    while not 1 <= round(share * group) <= group - 1:
        group *= 10
    number = round(share * group)
    verb = "is" if number == 1 else "are"
    return Share(f"{group:,}", f"{number:,}", verb)


class Decision(NamedTuple):
    """One operating point of one series, as the templates show it."""

    point: str
    threshold: str | None
    bayes: str
    refused: Share
    accepted: Share


def decisions_in_words(curve: Mapping, row: Mapping) -> list[Decision]:
    """Every operating point of a series; none for curves.json of an older version.

    ``row`` is the series' row of results.json for the whole list.
    """
    decisions = []
    for entry in curve.get("decisions", ()):
        threshold = entry["threshold"]
        decision = Decision(
            point=entry["point"],
            threshold=None if threshold is None else format_threshold(threshold),
            bayes=format_threshold(entry["bayes_threshold"]),
            refused=share_in_words(entry["miss"], row["targets"]),
            accepted=share_in_words(entry["false_alarm"], row["nontargets"]),
        )
        decisions.append(decision)
    return decisions


def format_threshold(threshold: float) -> str:
    """A threshold with two digits after the point, or more if it is small."""
    if threshold == 0 or abs(threshold) >= 0.1:
        return f"{threshold:.2f}"
    return f"{threshold:.3g}"


def is_chosen_on_itself(curve: Mapping) -> bool:
    """Whether a threshold of a series was chosen on the trials that it is applied to."""
    return any(entry["chosen_on"] == curve["test_set"] for entry in curve.get("decisions", ()))


def explain_thresholds(curve: Mapping) -> str:
    """Where the thresholds of a series come from; empty if it has none."""
    decisions = curve.get("decisions", ())
    if not decisions:
        return ""
    chosen_on = decisions[0]["chosen_on"]
    if chosen_on is None:
        origin = (
            "The scores are log-likelihood ratios: "
            "the threshold is the Bayes threshold, which follows from the prior and the costs."
        )
    elif chosen_on == curve["test_set"]:
        origin = (
            "The threshold has the lowest cost on these same trials: "
            f"expect more errors on others.  {NO_RATIOS}"
        )
    else:
        origin = f"The threshold has the lowest cost on {chosen_on}.  {NO_RATIOS}"
    if any(":" in entry["point"] for entry in decisions):
        meaning = (
            "Prior: the expected share of genuine attempts, followed, where they differ, "
            "by the costs of a refused genuine attempt and of an accepted impostor."
        )
    else:
        meaning = "Prior: the expected share of genuine attempts; both errors cost the same."
    return f"{origin}  {meaning}"


def headline_threshold(curve: Mapping) -> float | None:
    """The threshold that the histogram of a series shows; None if it has none."""
    for entry in curve.get("decisions", ()):
        if entry["point"] == HEADLINE_POINT:
            return entry["threshold"]
    return None
