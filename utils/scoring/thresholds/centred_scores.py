"""Cosines of trials, each centred by a mean that knows neither of the trial's speakers.

With x and y the unit vectors of two files and m the mean of the speakers that a trial may use, the
cosine of x - m and y - m is

    (xy - xm - ym + mm) / sqrt((1 - 2 xm + mm) (1 - 2 ym + mm)).

All products with m are sums of products with the means of single speakers, which are computed once,
so that leaving further speakers out costs a few operations for each trial.
"""

from dataclasses import dataclass

import numpy as np

from utils.scoring.thresholds.trials import Trials


@dataclass(frozen=True)
class _Mean:
    """What the products with the mean of each of T trials are made of."""

    kept: np.ndarray  # (S,) of 0 and 1
    number: np.ndarray  # (T,) speakers in the mean
    first: np.ndarray  # (T,) 1 where the trial's first speaker has to be taken out
    second: np.ndarray
    square: np.ndarray  # (T,) the mean's product with itself


@dataclass(frozen=True)
class _Side:
    """One file of each trial, and its products with the means of both speakers, (T,)."""

    files: np.ndarray
    with_first: np.ndarray
    with_second: np.ndarray


class CentredScores:
    """Scores of trials by cosine, centred (or not) by the mean of all other speakers.

    ``vectors`` (F, E) are unit vectors of files, ``speakers`` (F,) their numbers.  A person of
    several files is the mean of their unit vectors.
    """

    def __init__(self, vectors: np.ndarray, speakers: np.ndarray, trials: Trials, centre: bool):
        self.trials, self.centre = trials, centre
        self.products = vectors @ vectors.T  # (F, F)
        means = speaker_means(vectors, speakers)
        self.file_means = vectors @ means.T  # (F, S)
        self.mean_products = means @ means.T  # (S, S)
        self.squares = np.diag(self.mean_products)
        self.between = self.mean_products[trials.first, trials.second]
        self.differ = (trials.first != trials.second).astype(float)
        self.sides = [self._side(files) for files in (*trials.enrol.T, trials.test)]

    def _side(self, files: np.ndarray) -> _Side:
        with_first = self.file_means[files, self.trials.first]
        return _Side(files, with_first, self.file_means[files, self.trials.second])

    def without(self, left_out: np.ndarray | None = None) -> np.ndarray:
        """Scores (T,), without some further speakers in any of the means."""
        mean = None
        if self.centre:
            mean = self._mean(left_out)
        *enrolled, test = self.sides
        if len(enrolled) == 1:
            return self._cosines(enrolled[0], test, mean)
        total = np.zeros(len(test.files))
        length = np.full(len(test.files), float(len(enrolled)))
        for number, side in enumerate(enrolled):
            total += self._cosines(side, test, mean)
            for other in enrolled[:number]:
                length += 2 * self._cosines(side, other, mean)
        return total / np.sqrt(np.maximum(length, 1e-12))

    def _mean(self, left_out: np.ndarray | None) -> _Mean:
        """The means of all trials; ValueError if one would be of no speaker."""
        first, second = self.trials.first, self.trials.second
        kept = np.ones(len(self.squares))
        if left_out is not None:
            kept[left_out] = 0
        out_first, out_second = kept[first], kept[second] * self.differ
        number = kept.sum() - out_first - out_second
        if number.min() < 1:
            raise ValueError("no speaker is left to centre by")
        with_kept = self.mean_products @ kept
        change = self.squares - 2 * with_kept  # of the square, by taking a speaker out
        square = kept @ with_kept + out_first * change[first] + out_second * change[second]
        square += 2 * out_first * out_second * self.between
        return _Mean(kept, number, out_first, out_second, square / number**2)

    def _cosines(self, one: _Side, other: _Side, mean: _Mean | None) -> np.ndarray:
        """Cosines (T,) of two files of each trial."""
        product = self.products[one.files, other.files]
        if mean is None:
            return product
        with_one, with_other = self._with_mean(one, mean), self._with_mean(other, mean)
        squares = (1 - 2 * with_one + mean.square) * (1 - 2 * with_other + mean.square)
        return (product - with_one - with_other + mean.square) / np.sqrt(squares)

    def _with_mean(self, side: _Side, mean: _Mean) -> np.ndarray:
        """Products (T,) of a file of each trial with the trial's mean."""
        total = (self.file_means @ mean.kept)[side.files]
        out = mean.first * side.with_first + mean.second * side.with_second
        return (total - out) / mean.number


def speaker_means(vectors: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Mean vector (S, E) of each speaker's files."""
    sums = np.zeros((int(speakers.max()) + 1, vectors.shape[1]))
    np.add.at(sums, speakers, vectors)
    return sums / np.bincount(speakers)[:, None]


def folder_mean(vectors: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """What all files are centred by at last: the mean (E,) of the speakers' means."""
    return speaker_means(vectors, speakers).mean(axis=0)
