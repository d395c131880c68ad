"""How often a 95 % interval contains the true value: simulated trial lists of known EER.

    python -m tests.bench.bench_intervals --lists 1000 --jobs 2

Its table is the first part of tests/bench/intervals.md.  Speakers differ: some are hard to
recognise (targets score low), some resemble others (nontargets score high), and so do utterances.
Targets are all pairs of a speaker's utterances, nontargets random pairs.  A score is Normal(shift +
g + u + v, 1/2) of a target trial, Normal(w + x + u + v, 1/2) of a nontarget one, with g of the
speaker (variance 0.3), w and x of both speakers (0.15 each), u and v of both utterances (0.1 each):
either class has variance 1, so that EER = Phi(-shift / 2).  A second system of the same EER has the
same speakers and utterances, and scores that correlate with the first one's: a paired test of the
two should be negative in 95 of 100 lists.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from statistics import NormalDist

import numpy as np

from utils.metrics.bootstrap import drawn_weights, sort_trials, weighted_figures
from utils.metrics.intervals import interval, paired_difference
from utils.metrics.rates import equal_error_rate

UTTERANCES = 6
SPEAKERS, LEVELS = (40, 100, 400), (0.02, 0.08, 0.18)
NORMAL = NormalDist()


def simulate(rng, num_speakers, eer):
    """Scores of two systems of one EER, class and both utterances of each trial."""
    i, j = np.triu_indices(UTTERANCES, 1)
    first = np.arange(num_speakers)[:, None] * UTTERANCES
    left, right = (first + i).ravel(), (first + j).ravel()
    num_targets, num_utterances = len(left), num_speakers * UTTERANCES
    others = rng.integers(num_utterances, size=2 * num_targets)
    speakers = (
        others // UTTERANCES + rng.integers(1, num_speakers, size=len(others))
    ) % num_speakers
    left = np.concatenate([left, others])
    right = np.concatenate(
        [right, speakers * UTTERANCES + rng.integers(UTTERANCES, size=len(others))]
    )
    is_target = np.arange(len(left)) < num_targets
    goat, wolf, utterance = (
        rng.normal(0, variance**0.5, size)
        for variance, size in ((0.3, num_speakers), (0.15, num_speakers), (0.1, num_utterances))
    )
    common = utterance[left] + utterance[right] - 2 * NORMAL.inv_cdf(eer) * is_target
    wolves = wolf[left // UTTERANCES] + wolf[right // UTTERANCES]
    own = goat[left // UTTERANCES]
    # the systems share half of the noise
    shared, *private = rng.normal(0, 0.5, (3, len(left)))
    second_goat = 0.8 * goat + 0.6 * rng.normal(0, 0.3**0.5, num_speakers)
    return (
        [
            common + np.where(is_target, own, wolves) + shared + private[0],
            common
            + np.where(is_target, second_goat[left // UTTERANCES], wolves)
            + shared
            + private[1],
        ],
        is_target,
        left,
        right,
    )


def resampled_eers(scores, is_target, left, right, weights):
    """EERs under resampling weights."""
    return (
        weighted_figures(sort_trials(scores, is_target, left, right), weights, {})["eer_percent"]
        / 100
    )


def layers(rng, is_target, left, right, num_speakers, replicates):
    """Weights and their rows for each way of drawing.

    Speakers; speakers and utterances within them; trials alone.
    """
    speaker = drawn_weights(num_speakers, replicates, int(rng.integers(2**31)))
    yield (
        "speakers",
        speaker,
        left // UTTERANCES,
        np.where(is_target, num_speakers, right // UTTERANCES),
    )
    num_utterances = num_speakers * UTTERANCES
    drawn = (
        rng.integers(UTTERANCES, size=(replicates, num_speakers, UTTERANCES))
        + np.arange(num_speakers)[:, None] * UTTERANCES
    )
    inside = np.stack(
        [np.bincount(draw.ravel(), minlength=num_utterances) for draw in drawn], axis=1
    ).astype(np.float32)
    both = np.concatenate([np.repeat(speaker[:-1], UTTERANCES, axis=0) * inside, inside])
    yield "speakers and utterances", both, left, np.where(is_target, num_utterances + right, right)
    trials = np.concatenate(
        [rng.poisson(1, (len(left), replicates)), np.ones((1, replicates))]
    ).astype(np.float32)
    yield "trials", trials, np.arange(len(left)), np.full(len(left), len(left))


def figure_intervals(value, drawn, num_speakers, floor):
    """The interval in use and two others."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "log-odds t": interval(value, drawn, num_speakers, floor=floor),
        "percentile": (low, high),
        "basic": (2 * value - high, 2 * value - low),
    }


def one_list(task):
    """Which intervals of one list contain the true value, and whether the paired test errs."""
    num_speakers, eer, number, replicates, all_layers = task
    rng = np.random.default_rng([num_speakers, round(1000 * eer), number])
    systems, is_target, left, right = simulate(rng, num_speakers, eer)
    values = [equal_error_rate(scores[is_target], scores[~is_target]) for scores in systems]
    results = {}
    for layer, weights, *rows in layers(rng, is_target, left, right, num_speakers, replicates):
        first = resampled_eers(systems[0], is_target, *rows, weights)
        for kind, (low, high) in figure_intervals(
            values[0], first, num_speakers, 0.5 / is_target.sum()
        ).items():
            results[layer, kind] = (low <= eer <= high, high - low)
        if layer == "speakers":
            second = resampled_eers(systems[1], is_target, *rows, weights)
            compared = paired_difference(values[0] - values[1], first - second, num_speakers)
            results["paired", "t"] = (
                compared.low <= 0 <= compared.high,
                compared.high - compared.low,
            )
        if not all_layers:
            break
    return results


def coverage(num_speakers, eer, lists, replicates, compared, jobs=1):
    """(layer, kind) -> (lists, coverage in percent, mean width in points)."""
    tasks = [(num_speakers, eer, number, replicates, number < compared) for number in range(lists)]
    if jobs == 1:
        results = list(map(one_list, tasks))
    else:
        with ProcessPoolExecutor(jobs) as pool:
            results = list(pool.map(one_list, tasks, chunksize=10))
    outcome = {}
    for name in results[0]:
        hits = np.array([result[name] for result in results if name in result])
        outcome[name] = (len(hits), 100 * hits[:, 0].mean(), 100 * hits[:, 1].mean())
    return outcome


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lists", type=int, default=1000, help="simulated lists per size and EER")
    parser.add_argument(
        "--compared", type=int, default=200, help="of them, those on which all layers are tried"
    )
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    columns = [
        ("speakers", "log-odds t"),
        ("paired", "t"),
        ("speakers", "percentile"),
        ("speakers", "basic"),
        ("speakers and utterances", "log-odds t"),
        ("speakers and utterances", "percentile"),
        ("trials", "log-odds t"),
    ]
    print("# Coverage of 95 % intervals of the EER\n")
    print(
        f"`python -m tests.bench.bench_intervals --lists {options.lists} --compared "
        f"{options.compared} --replicates {options.replicates}`: per cent of lists whose interval "
        f"contains the true value (mean width in points).  Drawing speakers alone: {options.lists} "
        f"lists; the other layers: {options.compared}.\n"
    )
    print(
        "| speakers | EER % | "
        + " | ".join(f"{layer}: {kind}" for layer, kind in columns)
        + " |\n|"
        + "---|" * (2 + len(columns)),
        flush=True,
    )
    for num_speakers in SPEAKERS:
        for eer in LEVELS:
            results = coverage(
                num_speakers, eer, options.lists, options.replicates, options.compared, options.jobs
            )
            cells = [f"{results[name][1]:.1f} ({results[name][2]:.2f})" for name in columns]
            print(f"| {num_speakers} | {100 * eer:g} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
