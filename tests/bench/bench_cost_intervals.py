"""How often the 95 % intervals of costs hold the truth: the simulated lists of bench_intervals.py, whose scores are made log-likelihood ratios.

    python -m tests.bench.bench_cost_intervals --lists 300 > tests/bench/cost_intervals.md

Either class has variance 1 and their means are d apart, so that the ratio of score x is d (x - m), m in the middle between them.  Such ratios
are calibrated: the lowest and the actual cost are the same, prior P asks for the threshold log((1 - P) / P), and Cllr is an integral over a
normal distribution.
"""

import argparse
from statistics import NormalDist

import numpy as np

from tests.bench.bench_intervals import LEVELS, SPEAKERS, UTTERANCES, simulate
from utils.metrics.bootstrap import (
    drawn_weights,
    sort_trials,
    weighted_figures,
    weighted_llr_figures,
)
from utils.metrics.intervals import interval
from utils.metrics.llr import LOG_2, bayes_threshold
from utils.metrics.summary import evaluate

NORMAL = NormalDist()
PRIORS = {"0.01": 0.01, "0.05": 0.05}
FIGURES = ("min_dcf_0.01", "min_dcf_0.05", "act_dcf_0.01", "act_dcf_0.05", "cllr")


def truths(eer):
    """Each figure of an endless list."""
    distance = -2 * NORMAL.inv_cdf(eer)
    ratios = NormalDist(
        distance**2 / 2, distance
    )  # of targets; of non-targets they are the negative of it
    found = {}
    for name, prior in PRIORS.items():
        threshold = bayes_threshold(prior)
        cost = (prior * ratios.cdf(threshold) + (1 - prior) * ratios.cdf(-threshold)) / min(
            prior, 1 - prior
        )
        found |= {f"min_dcf_{name}": cost, f"act_dcf_{name}": cost}
    points = ratios.mean + ratios.stdev * np.linspace(-9, 9, 20_001)
    weights = np.exp(-0.5 * np.linspace(-9, 9, 20_001) ** 2)
    return found | {
        "cllr": float(np.sum(np.logaddexp(0, -points) * weights) / weights.sum() / LOG_2)
    }


def one_list(num_speakers, eer, number, replicates):
    """Which intervals hold the truth, and how wide they are."""
    rng = np.random.default_rng([num_speakers, round(1000 * eer), number, 1])
    systems, is_target, left, right = simulate(rng, num_speakers, eer)
    distance = -2 * NORMAL.inv_cdf(eer)
    ratios = distance * (systems[0] - distance / 2)
    rows = left // UTTERANCES, np.where(is_target, num_speakers, right // UTTERANCES)
    weights = drawn_weights(num_speakers, replicates, int(rng.integers(2**31)))
    values = evaluate(ratios[is_target], ratios[~is_target], llr=True, points=PRIORS)
    drawn = weighted_figures(
        sort_trials(ratios, is_target, *rows), weights, PRIORS
    ) | weighted_llr_figures(ratios, is_target, *rows, weights, PRIORS)
    found = {}
    for name, truth in truths(eer).items():
        bounded = name.startswith("min")
        value = min(values[name], 1) if bounded else values[name]
        low, high = interval(
            value, drawn[name], num_speakers, floor=0.5 / is_target.sum(), bounded=bounded
        )
        found[name] = (low <= truth <= high, high - low)
    return found


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lists", type=int, default=300, help="simulated lists per size and EER")
    parser.add_argument("--replicates", type=int, default=200)
    options = parser.parse_args()
    print("# Coverage of 95 % intervals of costs\n")
    print(
        f"`python -m tests.bench.bench_cost_intervals --lists {options.lists} --replicates {options.replicates}`: per cent of lists whose interval "
        "holds the truth (mean width).\n"
    )
    print(
        "| speakers | EER % | true DCF 0.01 | true Cllr | "
        + " | ".join(FIGURES)
        + " |\n|"
        + "---|" * (4 + len(FIGURES)),
        flush=True,
    )
    for num_speakers in SPEAKERS:
        for eer in LEVELS:
            results, known = (
                [
                    one_list(num_speakers, eer, number, options.replicates)
                    for number in range(options.lists)
                ],
                truths(eer),
            )
            cells = [
                f"{100 * np.mean([result[name][0] for result in results]):.1f} ({np.mean([result[name][1] for result in results]):.3f})"
                for name in FIGURES
            ]
            print(
                f"| {num_speakers} | {100 * eer:g} | {known['min_dcf_0.01']:.3f} | {known['cllr']:.3f} | "
                + " | ".join(cells)
                + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()
