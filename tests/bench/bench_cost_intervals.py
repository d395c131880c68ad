"""How often 95 % intervals of all figures contain the true value, on simulated lists.

    python -m tests.bench.bench_cost_intervals --jobs 2 > tests/bench/cost_intervals.md

The lists are those of bench_intervals.py, with scores turned into log-likelihood ratios.  Either
class has variance 1 and their means are d apart, so that the ratio of score x is d (x - m), with m
the middle between them.  Such ratios are calibrated: the lowest and the actual cost are the same,
the threshold at prior P is log((1 - P) / P), and Cllr is an integral over a normal distribution.  A
second system of the same EER scores the same trials: the interval of the difference should contain
0.

The table decides when an interval is shown (utils/metrics/interval_rule.py); a test compares both.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from statistics import NormalDist

import numpy as np

from tests.bench.bench_intervals import UTTERANCES, simulate
from utils.metrics.bootstrap import (
    drawn_weights,
    sort_trials,
    weighted_figures,
    weighted_llr_figures,
)
from utils.metrics.interval_rule import speakers_needed
from utils.metrics.intervals import interval, paired_difference
from utils.metrics.llr import LOG_2, bayes_threshold
from utils.metrics.summary import evaluate

NORMAL = NormalDist()
SPEAKERS = (5, 10, 20, 40, 100, 400)
EERS_PERCENT = (0.5, 1, 2, 5, 10, 20, 35, 45)
PRIORS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 0.9, 0.99)
POINTS = {f"{prior:g}": prior for prior in PRIORS}
COSTS = [f"{kind}_dcf_{name}" for kind in ("min", "act") for name in POINTS]
FIGURES = ("eer_percent", "cllr", *COSTS)
EXPLANATION = """
**The rule.** A figure has an interval if, with that number of speakers and with each larger number
that was tried, the interval contains the true value in at least 88 of 100 lists: the numbers are in
utils/metrics/interval_rule.py, which a test compares with the first table.  A difference of two
systems has one if both figures have.

- **The EER** has one from 5 speakers on (fewer were not tried), **Cllr** from 5, 10 or 20 on.
- **Costs** depend on the few errors beyond a high threshold.  A list of few speakers often has none
  of them, and draws of its speakers cannot add any; the lowest cost is the best of all thresholds
  of the list, and so is below the true value, the more so near 1.  If the EER is 10 % or less,
  the lowest cost at a prior of 0.05 has an interval from 5 to 40 speakers on, at 0.01 from 400 on,
  at 0.001 never.
- **A difference** of two equally good systems is within its interval in 90 of 100 lists and more,
  but for lowest costs at priors of 0.005 and less and of 0.99.
- The last table uses the EER that a list has, as users do, not the true one.  At the edge of the
  rule, where half of the lists get an interval, the coverage is 81 of 100 at worst: lists with a
  low EER by chance.

Speakers have six utterances here, and 30 nontarget trials each.  Lists with more of these have more
of the rare errors.
"""
FOR_LARGE = 0.5  # of the lists, with 400 speakers: they take most of the time


def truths(eer):
    """The true value of each figure: that of an infinite list."""
    distance = -2 * NORMAL.inv_cdf(eer)
    # of targets; those of nontargets are the negative
    ratios = NormalDist(distance**2 / 2, distance)
    true_values = {"eer_percent": 100 * eer}
    for name, prior in POINTS.items():
        threshold = bayes_threshold(prior)
        miss, false_alarm = ratios.cdf(threshold), ratios.cdf(-threshold)
        cost = (prior * miss + (1 - prior) * false_alarm) / min(prior, 1 - prior)
        true_values |= {f"min_dcf_{name}": cost, f"act_dcf_{name}": cost}
    points = ratios.mean + ratios.stdev * np.linspace(-9, 9, 20_001)
    weights = np.exp(-0.5 * np.linspace(-9, 9, 20_001) ** 2)
    mean = np.sum(np.logaddexp(0, -points) * weights) / weights.sum()
    return true_values | {"cllr": float(mean / LOG_2)}


def one_list(task):
    """For each figure whether its interval contains the true value, and that of the difference 0.

    (F, 2) bool; and the EER of the list.
    """
    num_speakers, percent, number, replicates = task
    eer = percent / 100
    rng = np.random.default_rng([num_speakers, round(100 * percent), number, 1])
    systems, is_target, left, right = simulate(rng, num_speakers, eer)
    distance = -2 * NORMAL.inv_cdf(eer)
    rows = left // UTTERANCES, np.where(is_target, num_speakers, right // UTTERANCES)
    weights = drawn_weights(num_speakers, replicates, int(rng.integers(2**31)))
    values, draws = [], []
    for scores in systems:
        ratios = distance * (scores - distance / 2)
        values.append(evaluate(ratios[is_target], ratios[~is_target], llr=True, points=POINTS))
        trials = sort_trials(ratios, is_target, *rows)
        draws.append(
            weighted_figures(trials, weights, POINTS)
            | weighted_llr_figures(ratios, is_target, *rows, weights, POINTS)
        )
    floor = 0.5 / is_target.sum()
    holds = []
    known = truths(eer)
    for name in FIGURES:
        unit = 100 if name == "eer_percent" else 1
        bounded = not name.startswith(("act", "cllr"))
        value = values[0][name] / unit
        if bounded:
            value = min(value, 1)
        ends = interval(value, draws[0][name] / unit, num_speakers, floor=floor, bounded=bounded)
        gap = values[0][name] - values[1][name]
        compared = paired_difference(gap, draws[0][name] - draws[1][name], num_speakers)
        is_held = ends is not None and ends[0] <= known[name] / unit <= ends[1]
        holds.append((is_held, compared.low <= 0 <= compared.high))
    return np.array(holds), values[0]["eer_percent"]


def outcomes(num_speakers, percent, lists, replicates, pool):
    """Results of `one_list` for each list: (lists, F, 2) and (lists,)."""
    tasks = [(num_speakers, percent, number, replicates) for number in range(lists)]
    holds, eers = zip(*pool.map(one_list, tasks, chunksize=5), strict=True)
    return np.array(holds), np.array(eers)


def all_outcomes(lists, replicates, jobs):
    """(speakers, EER) -> results of `outcomes`."""
    results = {}
    with ProcessPoolExecutor(jobs) as pool:
        for num_speakers in SPEAKERS:
            wanted = lists
            if num_speakers >= 400:
                wanted = round(FOR_LARGE * lists)
            for percent in EERS_PERCENT:
                cell = num_speakers, percent
                results[cell] = outcomes(*cell, wanted, replicates, pool)
    return results


def print_table(title, cells):
    """A row for each size and EER, a column for each figure."""
    names = [name.replace("_percent", "").replace("_dcf_", " ") for name in FIGURES]
    print(f"\n## {title}\n")
    print(f"| speakers | EER % | {' | '.join(names)} |\n|{'---|' * (2 + len(names))}")
    for (num_speakers, percent), shares in cells.items():
        print(f"| {num_speakers} | {percent:g} | {' | '.join(shares)} |")


def coverage(results, column):
    """Cell -> per cent of its lists, by figure, with the true value in one kind of interval."""
    return {
        cell: [f"{share:.1f}" for share in 100 * holds[:, :, column].mean(axis=0)]
        for cell, (holds, _) in results.items()
    }


def coverage_of_shown(results):
    """Cell -> coverage of the intervals that the EER of the list allows, and how often it does."""
    cells = {}
    for (num_speakers, percent), (holds, eers) in results.items():
        cells[num_speakers, percent] = []
        for number, name in enumerate(FIGURES):
            prior = POINTS.get(name.rpartition("_")[2])
            measure = name.partition("_")[0]
            needed = [speakers_needed(measure, eer, prior) for eer in eers]
            shown = np.array([least is not None and num_speakers >= least for least in needed])
            cell = "–"
            if shown.any():
                held = holds[shown, number, 0].mean()
                cell = f"{100 * held:.1f} ({100 * shown.mean():.0f})"
            cells[num_speakers, percent].append(cell)
    return cells


def print_page(results, command):
    """Print cost_intervals.md."""
    print("# Coverage of 95 % intervals\n")
    print(
        f"`{command}`: per cent of lists whose interval contains the true value (400 speakers: "
        "half as many lists).\nEach list has a seed of its own, made of its size, EER and number.  "
        "min, act: lowest and actual cost at an\neffective prior."
    )
    print(EXPLANATION, end="")
    print_table("Intervals of a figure", coverage(results, 0))
    print_table(
        "Intervals of the difference of two systems that are equally good", coverage(results, 1)
    )
    print_table(
        "Intervals that are shown, by the EER that a list has: coverage (per cent of the lists)",
        coverage_of_shown(results),
    )


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lists", type=int, default=300, help="simulated lists per size and EER")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    command = (
        f"python -m tests.bench.bench_cost_intervals --lists {options.lists} "
        f"--replicates {options.replicates}"
    )
    results = all_outcomes(options.lists, options.replicates, options.jobs)
    print_page(results, command)


if __name__ == "__main__":
    main()
