"""The report's words for the person who decides: what is refused and accepted at a threshold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

FEWEST = 100  # of whom is told, where a rate is not lower than that shows
HEADLINE = "0.01"  # the operating point whose threshold the histograms show


class OutOf(NamedTuple):
    """A share in words: so many ``of`` so many, and the verb behind it."""

    of: str
    number: str
    verb: str


def out_of(share: float, trials: int) -> OutOf:
    """A share as a number of people, of the fewest that show it: 3 of 100, 2 of 1,000.

    Parameters
    ----------
    share : float
        In [0, 1].
    trials : int
        What it was counted on: where nobody or everybody is meant, these.
    """
    if share <= 0:
        return OutOf(f"{trials:,}", "none", "is")
    if share >= 1:
        return OutOf(f"{trials:,}", f"all {trials:,}", "are")
    of = FEWEST
    while not 1 <= round(share * of) <= of - 1:
        of *= 10
    number = round(share * of)
    return OutOf(f"{of:,}", f"{number:,}", "is" if number == 1 else "are")


class Said(NamedTuple):
    """One operating point of one series, as the templates show it."""

    point: str
    threshold: str | None
    bayes: str
    refused: OutOf
    accepted: OutOf


def said_of(curve: Mapping, row: Mapping) -> list[Said]:
    """Every operating point of a series, in words.

    Parameters
    ----------
    curve : mapping
        Of curves.json; one that was written before it had ``decisions`` says nothing.
    row : mapping
        Of results.json: the whole list.
    """
    return [
        Said(
            point=one["point"],
            threshold=None if one["threshold"] is None else shown(one["threshold"]),
            bayes=shown(one["bayes_threshold"]),
            refused=out_of(one["miss"], row["targets"]),
            accepted=out_of(one["false_alarm"], row["nontargets"]),
        )
        for one in curve.get("decisions", ())
    ]


def shown(threshold: float) -> str:
    """A threshold as it is read: two digits after the point, more where it is small.

    Parameters
    ----------
    threshold : float
        A score.
    """
    return f"{threshold:.2f}" if abs(threshold) >= 0.1 or threshold == 0 else f"{threshold:.3g}"


def chosen_on_itself(curve: Mapping) -> bool:
    """Whether a threshold of a series was found on the trials that it decides on.

    Parameters
    ----------
    curve : mapping
        Of curves.json.
    """
    return any(one["chosen_on"] == curve["test_set"] for one in curve.get("decisions", ()))


def explanation(curve: Mapping) -> str:
    """Where the thresholds of a series come from, in words.

    Parameters
    ----------
    curve : mapping
        Of curves.json.
    """
    decisions = curve.get("decisions", ())
    if not decisions:
        return ""
    chosen_on = decisions[0]["chosen_on"]
    if chosen_on is None:
        origin = (
            "The scores are log-likelihood ratios: their threshold is Bayes', from the prior alone."
        )
    elif chosen_on == curve["test_set"]:
        origin = (
            "The threshold costs least on these very trials: on others its errors are more.  "
            "Bayes thresholds are for log-likelihood ratios, which these scores are not."
        )
    else:
        origin = (
            f"The threshold costs least on {chosen_on}.  "
            "Bayes thresholds are for log-likelihood ratios, which these scores are not."
        )
    meaning = "Prior: the expected share of genuine attempts; both errors cost the same."
    if any(":" in one["point"] for one in decisions):
        meaning = (
            "Prior: the expected share of genuine attempts, and where they differ "
            "the costs of a refused one and of an accepted impostor."
        )
    return f"{origin}  {meaning}"


def headline_threshold(curve: Mapping) -> float | None:
    """The threshold that a histogram shows; None where there is none.

    Parameters
    ----------
    curve : mapping
        Of curves.json.
    """
    decisions: Sequence[Mapping] = curve.get("decisions", ())
    return next((one["threshold"] for one in decisions if one["point"] == HEADLINE), None)
