"""Packing: utterances as they are read -> 16-bit mono waves of one rate in a large archive, with a ledger of those that are not fit."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter, read_vector
from utils.audio import FULL_SCALE, UnreadableAudio, UtteranceReader, resample, to_int16
from utils.data_dir import write_map
from utils.errors import UserError
from utils.ledger import POLICY, UNREADABLE, Ledger
from utils.vad import FRAMES_PER_SECOND, keep_speech, num_frames


class Packer:
    """Packs utterances by one policy.

    Parameters
    ----------
    reader : UtteranceReader
        Gives the sound.
    ledger : Ledger
        Takes the names of those that are kept and dropped.
    sample_rate_hz : int
        Rate to pack at.
    decisions : mapping of str to str, or None
        Utterance -> entry of its voice activity decisions (``vad.scp``); None: nobody asks for them.
    trim : bool
        Cut out what is not speech.
    min_seconds, min_speech_seconds : float
        What is shorter, or holds less speech, is dropped by policy; what is silent always is.
    transform : callable or None
        (samples, sample rate) -> samples, applied at the rate to pack at.
    """

    def __init__(self, reader: UtteranceReader, ledger: Ledger, sample_rate_hz: int, *, decisions: Mapping[str, str] | None = None,
                 trim: bool = False, min_seconds: float = 0.0, min_speech_seconds: float = 0.0,
                 transform: Callable[[np.ndarray, int], np.ndarray] | None = None):
        if sample_rate_hz < 1:
            raise UserError(f"--sample-rate-hz: {sample_rate_hz}, expected a positive number of samples per second")
        self.reader, self.ledger, self.sample_rate_hz, self.decisions, self.trim = reader, ledger, sample_rate_hz, decisions, trim
        self.min_seconds, self.min_speech_seconds, self.transform = min_seconds, min_speech_seconds, transform
        self.num_samples: dict[str, int] = {}
        self.clipped_utterances = 0

    @property
    def counts(self) -> dict[str, int]:
        """Those of the ledger, samples packed, and utterances that had to be clipped."""
        return {**self.ledger.counts, "samples": sum(self.num_samples.values()), "clipped_utterances": self.clipped_utterances}

    def write(self, stem: Path, utterances: Iterable[str]) -> list:
        """Pack utterances into ``<stem>.ark`` and ``.scp``, with ``.num_samples`` and ``.dropped`` beside them.

        Parameters
        ----------
        stem : path
            Beginning of the files' names.
        utterances : iterable of str
            In the order to write.

        Returns
        -------
        list
            What was written, for the receipt.
        """
        with ArchiveWriter(f"{stem}.ark", f"{stem}.scp") as writer:
            for utterance in utterances:
                samples = self.fit_samples(utterance)
                if samples is not None:
                    writer.write_wave(utterance, samples, self.sample_rate_hz)
                    self.ledger.keep(utterance)
                    self.num_samples[utterance] = len(samples)
        write_map(Path(f"{stem}.num_samples"), self.num_samples)
        self.ledger.write_part(Path(f"{stem}.dropped"))
        return [writer, f"{stem}.num_samples", f"{stem}.dropped"]

    def fit_samples(self, utterance: str) -> np.ndarray | None:
        """The (n,) int16 samples to pack, or None where the utterance was dropped.

        Parameters
        ----------
        utterance : str
            Its name.
        """
        try:
            samples, rate = self.reader.read(utterance)
        except UnreadableAudio as fault:
            self.ledger.drop(utterance, UNREADABLE, fault.reason)
            return None
        if self.decisions is not None:
            speech = self._speech(utterance, num_frames(len(samples), rate))
            if speech.sum() < self.min_speech_seconds * FRAMES_PER_SECOND:
                found = f"{speech.sum() / FRAMES_PER_SECOND:.2f} s of speech in {len(samples) / rate:.2f} s"
                self.ledger.drop(utterance, POLICY + "little_speech", found)
                return None
            samples = keep_speech(samples, rate, speech) if self.trim else samples
        samples = resample(samples, rate, self.sample_rate_hz)
        if len(samples) < max(1, self.min_seconds * self.sample_rate_hz):
            self.ledger.drop(utterance, POLICY + "short", f"{len(samples) / self.sample_rate_hz:.2f} s")
            return None
        samples = self.transform(samples, self.sample_rate_hz) if self.transform and samples.any() else samples
        if not to_int16(samples).any():
            self.ledger.drop(utterance, POLICY + "silent", f"{len(samples) / self.sample_rate_hz:.2f} s")
            return None
        self.clipped_utterances += bool(np.abs(samples).max(initial=0) > 1 + 0.5 / FULL_SCALE)
        return to_int16(samples)

    def _speech(self, utterance: str, expected: int) -> np.ndarray:
        if utterance not in self.decisions:
            raise UserError(f"{self.ledger.where}: '{utterance}' can be read but has no voice activity decisions; "
                            f"remove {self.ledger.where}/vad/receipts and run stage 1 again")
        speech = read_vector(self.decisions[utterance], key=utterance) > 0
        if len(speech) != expected:
            raise UserError(f"{self.ledger.where}: '{utterance}' has {expected} frames but {len(speech)} decisions: the sound has changed; "
                            f"remove {self.ledger.where}/vad/receipts and run stage 1 again")
        return speech
