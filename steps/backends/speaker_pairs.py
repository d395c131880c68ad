"""Pairs of embeddings for back ends that learn from pairs, and the error rate on pairs."""

from collections.abc import Sequence

import numpy as np


class SpeakerPairs:
    """Draws pairs of utterances of one speaker and of two, from the rows of each speaker.

    Raises ValueError if no speaker has two utterances or there is only one speaker.
    """

    def __init__(self, speaker_rows: list[np.ndarray]):
        self.speaker_rows = speaker_rows
        self.repeated = [rows for rows in speaker_rows if len(rows) > 1]
        if len(speaker_rows) < 2 or not self.repeated:
            raise ValueError(
                f"{len(speaker_rows)} speakers, {len(self.repeated)} of them with two utterances "
                "or more; pairs need two speakers, one of them with two utterances"
            )

    @classmethod
    def split(
        cls, speakers: Sequence[str], share: float, seed: int
    ) -> tuple["SpeakerPairs", "SpeakerPairs | None"]:
        """Pairs to train on, and pairs of held-out speakers: a share of them, at least two.

        ``speakers`` has the speaker of each row.  With a share of 0 none are held out: None.
        """
        labels = np.unique(speakers, return_inverse=True)[1]
        order = np.argsort(labels, kind="stable")
        speaker_rows = np.split(order, np.cumsum(np.bincount(labels))[:-1])
        whole = cls(speaker_rows)
        if not share:
            return whole, None
        number = max(2, round(share * len(speaker_rows)))
        shuffled = np.random.default_rng(seed).permutation(len(speaker_rows))
        chosen = set(shuffled[:number].tolist())
        training, held_out = [], []
        for speaker, rows in enumerate(speaker_rows):
            if speaker in chosen:
                held_out.append(rows)
            else:
                training.append(rows)
        return cls(training), cls(held_out)

    def draw(self, number: int, seed: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One batch: rows of both sides, and whether each pair is a target pair.

        ``number`` of each kind.  The speakers of target pairs are all different: there are at most
        as many as speakers with two utterances.
        """
        rng = np.random.default_rng(seed)
        number = min(number, len(self.repeated))
        targets = []
        for speaker in rng.permutation(len(self.repeated))[:number]:
            targets.append(rng.choice(self.repeated[speaker], 2, replace=False))
        return self._with_nontargets(targets, rng)

    def draw_evenly(
        self, number: int, seed: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs to evaluate on, as of `draw`, with equally many target pairs of each speaker."""
        rng = np.random.default_rng(seed)
        targets = []
        for pair in range(number):
            rows = self.repeated[pair % len(self.repeated)]
            targets.append(rng.choice(rows, 2, replace=False))
        return self._with_nontargets(targets, rng)

    def _with_nontargets(self, targets, rng):
        """Target pairs followed by as many nontarget pairs, as of `draw`."""
        speakers = [rng.choice(len(self.speaker_rows), 2, replace=False) for _ in targets]
        nontargets = []
        for first, second in speakers:
            enrol = rng.choice(self.speaker_rows[first])
            nontargets.append([enrol, rng.choice(self.speaker_rows[second])])
        enrol, test = np.array(targets + nontargets).T
        return enrol, test, np.arange(2 * len(targets)) < len(targets)


def equal_error_rate(target: np.ndarray, nontarget: np.ndarray) -> float:
    """Mean of misses and false alarms at the threshold where they are closest."""
    thresholds = np.append(np.unique(np.concatenate([target, nontarget])), np.inf)
    miss = np.searchsorted(np.sort(target), thresholds) / len(target)
    false_alarm = 1 - np.searchsorted(np.sort(nontarget), thresholds) / len(nontarget)
    closest = np.argmin(np.abs(miss - false_alarm))
    return float(miss[closest] + false_alarm[closest]) / 2
