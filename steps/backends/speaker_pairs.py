"""Pairs of training embeddings for back ends that learn from pairs, and the error rate on those of held-out speakers."""

from collections.abc import Sequence

import numpy as np


class SpeakerPairs:
    """Draws pairs of utterances of one speaker, and of two.

    Parameters
    ----------
    rows_of : list of (n,) int arrays
        Rows of each speaker.

    Raises
    ------
    ValueError
        No speaker has two utterances, or there is one speaker only.
    """

    def __init__(self, rows_of: list[np.ndarray]):
        self.rows_of = rows_of
        self.repeated = [rows for rows in rows_of if len(rows) > 1]
        if len(rows_of) < 2 or not self.repeated:
            raise ValueError(
                f"{len(rows_of)} speakers, {len(self.repeated)} of them with two utterances or more; "
                "pairs need two speakers, one of them with two utterances"
            )

    @classmethod
    def split(
        cls, speakers: Sequence[str], share: float, seed: int
    ) -> tuple["SpeakerPairs", "SpeakerPairs | None"]:
        """Pairs to train on, and of a part of the speakers to evaluate on.

        Parameters
        ----------
        speakers : sequence of N str
            Speaker of each row.
        share : float
            Part held out: at least two speakers where it is not 0.
        seed : int
            Of the choice.

        Returns
        -------
        training, held_out : SpeakerPairs, SpeakerPairs or None
            They share no speaker; without any held out the second is None.
        """
        labels = np.unique(speakers, return_inverse=True)[1]
        order = np.argsort(labels, kind="stable")
        rows_of = np.split(order, np.cumsum(np.bincount(labels))[:-1])
        whole = cls(rows_of)
        if not share:
            return whole, None
        chosen = set(
            np.random.default_rng(seed)
            .permutation(len(rows_of))[: max(2, round(share * len(rows_of)))]
            .tolist()
        )
        return (
            cls([rows for speaker, rows in enumerate(rows_of) if speaker not in chosen]),
            cls([rows for speaker, rows in enumerate(rows_of) if speaker in chosen]),
        )

    def draw(self, number: int, seed: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One batch.

        Parameters
        ----------
        number : int
            Pairs of each kind; the speakers of target pairs are all different, so that there are no more of them than speakers with two utterances.
        seed : sequence of int
            Same seed, same batch.

        Returns
        -------
        enrol, test, is_target : (B,) int, int and bool arrays
            Rows of both sides.
        """
        rng = np.random.default_rng(seed)
        number = min(number, len(self.repeated))
        targets = [
            rng.choice(self.repeated[speaker], 2, replace=False)
            for speaker in rng.permutation(len(self.repeated))[:number]
        ]
        return self._pairs(targets, rng)

    def draw_evenly(
        self, number: int, seed: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs to evaluate on: as many target pairs of each speaker as can be, and as many non-target pairs.

        Parameters
        ----------
        number : int
            Of each kind.
        seed : sequence of int
            Same seed, same pairs.

        Returns
        -------
        enrol, test, is_target : (B,) int, int and bool arrays
            Rows of both sides.
        """
        rng = np.random.default_rng(seed)
        targets = [
            rng.choice(self.repeated[pair % len(self.repeated)], 2, replace=False)
            for pair in range(number)
        ]
        return self._pairs(targets, rng)

    def _pairs(self, targets, rng):
        speakers = [rng.choice(len(self.rows_of), 2, replace=False) for _ in targets]
        nontargets = [[rng.choice(self.rows_of[speaker]) for speaker in pair] for pair in speakers]
        enrol, test = np.array(targets + nontargets).T
        return enrol, test, np.arange(2 * len(targets)) < len(targets)


def equal_error_rate(target: np.ndarray, nontarget: np.ndarray) -> float:
    """Where misses and false alarms are most alike, their mean.

    Parameters
    ----------
    target, nontarget : (T,) and (N,) float arrays
        Scores of both kinds.
    """
    thresholds = np.append(np.unique(np.concatenate([target, nontarget])), np.inf)
    miss = np.searchsorted(np.sort(target), thresholds) / len(target)
    false_alarm = 1 - np.searchsorted(np.sort(nontarget), thresholds) / len(nontarget)
    closest = np.argmin(np.abs(miss - false_alarm))
    return float(miss[closest] + false_alarm[closest]) / 2
