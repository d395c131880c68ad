"""Packing: utterances as they are read -> 16-bit mono waves of one rate in a large archive, with a ledger of those that are not fit."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from utils.archive import ArchiveWriter, read_vector
from utils.audio import FULL_SCALE, resample, to_int16
from utils.data_dir import DataDir, write_map
from utils.data_dir.ledger import POLICY, UNREADABLE, Ledger
from utils.data_dir.rules import key_kind
from utils.errors import UnreadableAudio, UserError
from utils.vad.base import FRAMES_PER_SECOND, cut_speech, keep_speech, num_frames
from utils.vad.segments import piece_name

# lists that do not hold for the packed sound
OF_SOURCE_AUDIO = {
    "utt2dur",
    "utt2num_frames",
    "utt2num_samples",
    "feats.scp",
    "cmvn.scp",
}
OF_WHOLE_UTTERANCES = {"vad.scp", "text"}  # nor for pieces of it


class Utterances(Protocol):
    """Sound by the names of utterances: `utils.audio.UtteranceReader`, or who makes it when asked."""

    def read(self, utterance: str, /) -> tuple[np.ndarray, int]:
        """Float samples of full scale [-1, 1], and their rate.

        Parameters
        ----------
        utterance : str
            Its name.

        Raises
        ------
        UnreadableAudio
            Something is wrong with the sound.
        """


class Packer:
    """Packs utterances by one policy.

    Parameters
    ----------
    reader : Utterances
        Gives the sound.
    ledger : Ledger
        Takes the names of those that are kept and dropped.
    sample_rate_hz : int
        Rate to pack at.
    decisions : mapping of str to str, or None
        Utterance -> entry of its voice activity decisions (``vad.scp``); None: nobody asks for them.
    trim : bool
        Cut out what is not speech.
    split : bool
        Make each stretch of speech an utterance of its own, a piece; not together with ``trim``.
    min_seconds, min_speech_seconds : float
        What is shorter, or holds less speech, is dropped by policy; what is silent always is.  ``min_seconds`` is for pieces where there are any,
        ``min_speech_seconds`` for whole utterances.
    transform : callable or None
        (samples, sample rate) -> samples, applied at the rate to pack at.
    remarks : mapping of str to str
        Utterance -> what the ledger says beside its reason, such as that another channel has the sound.
    """

    def __init__(
        self,
        reader: Utterances,
        ledger: Ledger,
        sample_rate_hz: int,
        *,
        decisions: Mapping[str, str] | None = None,
        trim: bool = False,
        split: bool = False,
        min_seconds: float = 0.0,
        min_speech_seconds: float = 0.0,
        transform: Callable[[np.ndarray, int], np.ndarray] | None = None,
        remarks: Mapping[str, str] | None = None,
    ):
        if sample_rate_hz < 1:
            raise UserError(
                f"--sample-rate-hz: {sample_rate_hz}, expected a positive number of samples per second"
            )
        self.reader = reader
        self.ledger = ledger
        self.sample_rate_hz = sample_rate_hz
        self.decisions = decisions
        self.trim, self.split, self.transform = trim, split, transform
        self.min_seconds, self.min_speech_seconds = min_seconds, min_speech_seconds
        self.remarks = {} if remarks is None else remarks  # grows while utterances are read
        self.num_samples: dict[str, int] = {}
        self.original: dict[str, str] = {}  # piece -> utterance
        self.clipped_utterances = 0

    @property
    def counts(self) -> dict[str, int]:
        """Those of the ledger, samples packed, and utterances (or pieces) that had to be clipped."""
        return {
            **self.ledger.counts,
            "samples": sum(self.num_samples.values()),
            "clipped_utterances": self.clipped_utterances,
        }

    def write(self, stem: Path, utterances: Iterable[str]) -> list:
        """Pack utterances into ``<stem>.ark`` and ``.scp``, with ``.num_samples`` and ``.dropped`` beside them, and ``.utt2original`` of pieces.

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
                for key, samples in self.fit(utterance).items():
                    writer.write_wave(key, samples, self.sample_rate_hz)
                    self.num_samples[key], self.original[key] = len(samples), utterance
        write_map(Path(f"{stem}.num_samples"), self.num_samples)
        self.ledger.write_part(Path(f"{stem}.dropped"))
        if self.split:
            write_map(Path(f"{stem}.utt2original"), self.original)
        return [
            writer,
            f"{stem}.num_samples",
            f"{stem}.dropped",
            *([f"{stem}.utt2original"] if self.split else []),
        ]

    def fit(self, utterance: str) -> dict[str, np.ndarray]:
        """What to pack of an utterance, which is entered in the ledger.

        Parameters
        ----------
        utterance : str
            Its name.

        Returns
        -------
        dict of str to (n,) int16 array
            Its name, or those of its pieces -> samples; empty where it was dropped.
        """
        try:
            samples, rate = self.reader.read(utterance)
        except UnreadableAudio as fault:
            self.ledger.drop(utterance, UNREADABLE, fault.reason)
            return {}
        parts, packed, unfit = self._parts(utterance, samples, rate), {}, []
        for key, part in parts.items():
            part = resample(part, rate, self.sample_rate_hz)
            rule, sound = self._judged(part)
            if rule:
                unfit.append((len(part), rule))
            else:
                packed[key] = sound
        if self.split:
            self.ledger.pieces.update(["packed"] * len(packed) + [rule for _, rule in unfit])
        if packed:
            self.ledger.keep(utterance)
        elif unfit:
            longest, rule = max(unfit)
            of_pieces = f", the longest of {len(unfit)} pieces" if self.split else ""
            self._drop(utterance, rule, f"{longest / self.sample_rate_hz:.2f} s{of_pieces}")
        return packed

    def _drop(self, utterance: str, rule: str, detail: str) -> None:
        """Enter an utterance that a policy forbids, with what there is to remark."""
        remark = self.remarks.get(utterance)
        self.ledger.drop(utterance, POLICY + rule, f"{detail}; {remark}" if remark else detail)

    def _parts(self, utterance: str, samples: np.ndarray, rate: int) -> dict[str, np.ndarray]:
        """The utterance, its speech, or its stretches of speech; nothing where there is too little and it was dropped."""
        if self.decisions is None:
            return {utterance: samples}
        speech = self._speech(self.decisions, utterance, num_frames(len(samples), rate))
        if speech.sum() < max(self.split, self.min_speech_seconds * FRAMES_PER_SECOND):
            found = (
                f"{speech.sum() / FRAMES_PER_SECOND:.2f} s of speech in {len(samples) / rate:.2f} s"
            )
            self._drop(utterance, "little_speech", found)
            return {}
        if self.split:
            return {
                piece_name(utterance, start, end): piece
                for start, end, piece in cut_speech(samples, rate, speech)
            }
        return {utterance: keep_speech(samples, rate, speech) if self.trim else samples}

    def _judged(self, samples: np.ndarray) -> tuple[str, np.ndarray]:
        """The rule that forbids to pack them, or none, and the samples as they are packed."""
        if len(samples) < max(1, self.min_seconds * self.sample_rate_hz):
            return "short", to_int16(samples)
        samples = (
            self.transform(samples, self.sample_rate_hz)
            if self.transform and samples.any()
            else samples
        )
        sound = to_int16(samples)
        if not sound.any():
            return "silent", sound
        self.clipped_utterances += bool(np.abs(samples).max() > 1 + 0.5 / FULL_SCALE)
        return "", sound

    def _speech(self, decisions: Mapping[str, str], utterance: str, expected: int) -> np.ndarray:
        if utterance not in decisions:
            raise UserError(
                f"{self.ledger.where}: '{utterance}' can be read but has no voice activity decisions; "
                f"remove {self.ledger.where}/vad/receipts and run stage 1 again"
            )
        speech = read_vector(decisions[utterance], key=utterance) > 0
        if len(speech) != expected:
            raise UserError(
                f"{self.ledger.where}: '{utterance}' has {expected} frames but {len(speech)} decisions: the sound has changed; "
                f"remove {self.ledger.where}/vad/receipts and run stage 1 again"
            )
        return speech


def packed_lists(
    source: DataDir,
    wav_scp: Mapping[str, str],
    num_samples: Mapping[str, int],
    sample_rate_hz: int,
    *,
    trimmed: bool = False,
    original: Mapping[str, str] | None = None,
) -> DataDir:
    """The lists of packed utterances: those of the source that still hold, and the facts of the packed sound.

    Parameters
    ----------
    source : DataDir
        Lists of the utterances that went on.
    wav_scp, num_samples : mappings of str to str and to int
        Packed utterance (or piece) -> entry and length.
    sample_rate_hz : int
        Rate of the packed sound.
    trimmed : bool
        Silence or a beginning was cut off, so that decisions do not hold any more.
    original : mapping of str to str, or None
        Where utterances were split: piece -> utterance; every list of utterances becomes one of pieces.

    Returns
    -------
    DataDir
        Without segments: they have become utterances.
    """
    gone = (
        OF_SOURCE_AUDIO
        | ({"vad.scp"} if trimmed else set())
        | (OF_WHOLE_UTTERANCES if original is not None else set())
    )
    maps = {
        name: mapping
        for name, mapping in source.maps.items()
        if name not in gone and not name.startswith("reco2")
    }
    utt2spk = source.utt2spk
    if original is not None:
        utt2spk = {piece: source.utt2spk[utterance] for piece, utterance in original.items()}
        maps = {
            name: {piece: mapping[utterance] for piece, utterance in original.items()}
            if key_kind(name, maps) == "utterance"
            else mapping
            for name, mapping in maps.items()
        } | {"utt2original": dict(original)}
    maps |= {
        "utt2num_samples": {key: str(number) for key, number in num_samples.items()},
        "utt2dur": {key: f"{number / sample_rate_hz:.4f}" for key, number in num_samples.items()},
    }
    return DataDir(source.path, dict(wav_scp), utt2spk, None, maps, source.trials)


def ending(seconds: float) -> Callable[[np.ndarray, int], np.ndarray] | None:
    """A transform for `Packer` that keeps the end of the sound.

    Parameters
    ----------
    seconds : float
        How much of it; 0: all of it, and there is nothing to do.
    """
    return (
        (lambda samples, sample_rate_hz: samples[-max(1, round(seconds * sample_rate_hz)) :])
        if seconds
        else None
    )
