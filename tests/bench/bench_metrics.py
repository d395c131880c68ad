"""Metrics and replicates of large lists: seconds inside the process, and the memory used.

    python -m tests.bench.bench_metrics [--large]

Measured once, on two busy cores: 580,000 scores 0.19 s, 1,000 draws 5.3 s, 60 million float32
scores 31 s and 3.1 GiB.
"""

import argparse
import resource
import time

import numpy as np

from utils.metrics.bootstrap import (
    drawn_weights,
    sort_trials,
    speaker_rows,
    weighted_figures,
    weighted_llr_figures,
)
from utils.metrics.llr import cllr, min_cllr
from utils.metrics.rates import crossing, error_rates, lowest_cost
from utils.metrics.summary import evaluate

TRIALS, SPEAKERS, LARGE = 579_818, 1251, 60_000_000


def timed(name, work, times=3):
    """Run a few times; print the shortest time."""
    least = np.inf
    for _ in range(times):
        start = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name}: {least:.3f} s, at most {peak:.2f} GiB so far", flush=True)


def draw_scores(trials, kind):
    """Normal scores, half of targets and half of nontargets."""
    rng = np.random.default_rng(0)
    halves = (rng.standard_normal(trials // 2, dtype=np.float32) for _ in range(2))
    return [
        (2 * scores + shift).astype(kind, copy=False)
        for scores, shift in zip(halves, (2, -2), strict=True)
    ]


def four_figures(target, nontarget):
    """EER, minDCF, Cllr, minCllr."""
    _, miss, false_alarm = error_rates(target, nontarget)
    return (
        crossing(miss, false_alarm),
        lowest_cost(miss, false_alarm, 0.01),
        cllr(target, nontarget),
        min_cllr(target, nontarget),
    )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="60 million float32 scores too")
    parser.add_argument("--replicates", type=int, default=1000)
    options = parser.parse_args()
    target, nontarget = draw_scores(TRIALS, np.float64)
    min_cllr(target[:10], nontarget[:10])  # scipy is loaded once
    timed(
        f"EER, minDCF, Cllr, minCllr of {TRIALS:,} scores", lambda: four_figures(target, nontarget)
    )
    timed("every figure of a row of results.json", lambda: evaluate(target, nontarget, llr=True))
    rng = np.random.default_rng(1)
    is_target = np.arange(TRIALS) < TRIALS // 2
    enrol = rng.integers(SPEAKERS, size=TRIALS)
    test = np.where(is_target, enrol, (enrol + rng.integers(1, SPEAKERS, size=TRIALS)) % SPEAKERS)

    def replicates():
        size, left, right = speaker_rows(enrol, test, is_target)
        weighted_figures(
            sort_trials(np.concatenate([target, nontarget]), is_target, left, right),
            drawn_weights(size, options.replicates, 0),
        )

    timed(
        f"EER and two minDCF of {options.replicates:,} draws of {SPEAKERS:,} speakers",
        replicates,
        times=1,
    )
    size, left, right = speaker_rows(enrol, test, is_target)
    both, weights = np.concatenate([target, nontarget]), drawn_weights(size, options.replicates, 0)
    timed(
        f"Cllr and two actDCF of {options.replicates:,} draws",
        lambda: weighted_llr_figures(both, is_target, left, right, weights),
        times=1,
    )
    if options.large:
        target, nontarget = draw_scores(LARGE, np.float32)
        timed(
            f"EER, minDCF, Cllr, minCllr of {LARGE:,} float32 scores",
            lambda: four_figures(target, nontarget),
            times=1,
        )


if __name__ == "__main__":
    main()
