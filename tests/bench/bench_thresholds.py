"""How often the error bounds of a fitted threshold hold on speakers that it has not seen.

    python -m tests.bench.bench_thresholds models/campplus CORPUS/WAVE > tests/bench/thresholds.md

CORPUS is speechocean762, or its part of 125 speakers with 12 recordings each.  In each draw some
speakers are the folder that a threshold is fitted to; the model's slope is fitted to 40 others; the
rest are those on whom misses and false alarms are counted, at the fitted threshold and with the
fitted mean.  A bound holds if the rate that is counted is not larger.
"""

import argparse
from pathlib import Path

import numpy as np

from steps.api import load_model
from utils.errors import UserError
from utils.scoring.thresholds.centred_scores import CentredScores
from utils.scoring.thresholds.files import Threshold, unit
from utils.scoring.thresholds.fit import fit_calibration
from utils.scoring.thresholds.own_threshold import (
    Embeddings,
    Settings,
    fit_own_threshold,
    make_threshold,
    trials_of,
    try_threshold,
)
from utils.scoring.thresholds.recordings import embed_recordings, list_recordings

SIZES = (8, 20, 40)
SLOPE_SPEAKERS = 40
HEAD = """# Bounds of thresholds that are fitted to a few speakers

`python -m tests.bench.bench_thresholds MODEL CORPUS/WAVE --draws {draws}`: {name} on {speakers}
speakers of speechocean762 with {files} recordings, prior {prior:g} and equal costs.  Each draw has
a seed of its own; its slope is that of {slope} further speakers, and the other ones are tested.
Rates are means over the draws, per 1,000.  *Holds*: in how many of 100 draws the rate on the tested
speakers is at most the bound.

| speakers | thresholds | tested | misses | bound | holds | false alarms | bound | holds |
|---|---|---|---|---|---|---|---|---|"""
TAIL = """
*Thresholds*: of how many draws; from the others no number is given.  A bound for the mean speaker
of a language is tried here on some tens of them, whose rate has chance of its own, so that bounds
would hold a little less often than 95 times if they were exact.  They are wide because the
number of speakers is small: 8 without any miss may be drawn from people of whom 3 in 10 are missed.
"""


def read_or_embed(model, folder, cache):
    """Embeddings of a folder, kept in an npz file."""
    if cache is not None and cache.exists():
        stored = np.load(cache)
        return Embeddings(
            stored["vectors"], stored["speakers"].tolist(), [""] * len(stored["speakers"])
        )
    loaded = load_model(model)
    embedded = embed_recordings(list_recordings(folder, loaded.finder), loaded)
    if cache is not None:
        found = embedded.embeddings
        np.savez(cache, vectors=found.vectors, speakers=np.array(found.speakers))
    return embedded.embeddings


def of_speakers(embeddings, chosen):
    """The embeddings of some speakers."""
    rows = np.flatnonzero(np.isin(embeddings.speakers, chosen))
    speakers = [embeddings.speakers[row] for row in rows]
    return Embeddings(embeddings.vectors[rows], speakers, [""] * len(rows))


def slope_of(embeddings):
    """The calibration of plain cosine on some speakers."""
    trials = trials_of(embeddings, 1)
    speakers, _ = embeddings.numbers()
    scores = CentredScores(unit(embeddings.vectors), speakers, trials, centre=False).without()
    return fit_calibration(scores, trials.is_target, trials.weights(), None)


def one_draw(embeddings, size, number, prior):
    """Bounds of the fit and errors on other speakers; None where no number is given."""
    rng = np.random.default_rng([size, number])
    names = rng.permutation(embeddings.names())
    slope = slope_of(of_speakers(embeddings, names[size : size + SLOPE_SPEAKERS]))
    settings = Settings(prior, calibration=slope)
    try:
        own = fit_own_threshold(of_speakers(embeddings, names[:size]), settings)
    except UserError:
        return None
    threshold: Threshold = make_threshold(own, settings, "model", None)
    tested = of_speakers(embeddings, names[size + SLOPE_SPEAKERS :])
    return own.bounds, try_threshold(threshold, tested, settings)


def print_row(embeddings, size, draws, prior):
    """Print the row of one number of speakers."""
    results = [one_draw(embeddings, size, number, prior) for number in range(draws)]
    given = [result for result in results if result is not None]
    cells = []
    for error in ("miss", "false_alarm"):
        bounds = np.array([getattr(bounds, error).bound for bounds, _ in given])
        rates = np.array([getattr(found, error).rate for _, found in given])
        held = 100 * np.mean(rates <= bounds)
        cells += [f"{1000 * rates.mean():.1f}", f"{1000 * bounds.mean():.1f}", f"{held:.0f}"]
    tested = len(embeddings.names()) - size - SLOPE_SPEAKERS
    shown = [str(size), f"{len(given)} of {draws}", str(tested), *cells]
    print(f"| {' | '.join(shown)} |", flush=True)


def main():
    """Print the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--prior", type=float, default=0.5)
    parser.add_argument("--vectors", type=Path, help="npz file to keep embeddings in")
    options = parser.parse_args()
    embeddings = read_or_embed(options.model, options.folder, options.vectors)
    facts = {
        "draws": options.draws,
        "name": options.model.name,
        "speakers": len(embeddings.names()),
        "files": len(embeddings.speakers),
        "prior": options.prior,
        "slope": SLOPE_SPEAKERS,
    }
    print(HEAD.format(**facts))
    for size in SIZES:
        print_row(embeddings, size, options.draws, options.prior)
    print(TAIL, end="")


if __name__ == "__main__":
    main()
