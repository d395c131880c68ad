"""Packing: 16-bit mono waves of one rate in a large archive, and a ledger of what is dropped."""

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

# Lists that are not valid for the packed audio, and those that are not valid for pieces of it.
OF_SOURCE_AUDIO = {"utt2dur", "utt2num_frames", "utt2num_samples", "feats.scp", "cmvn.scp"}
OF_WHOLE_UTTERANCES = {"vad.scp", "text"}


class Utterances(Protocol):
    """Audio by the names of utterances: `utils.audio.UtteranceReader`, or a generator of audio."""

    def read(self, utterance: str, /) -> tuple[np.ndarray, int]:
        """(n,) float samples of full scale [-1, 1], and their rate; may raise UnreadableAudio."""


class Packer:
    """Packs utterances by one policy.

    Parameters
    ----------
    reader : Utterances
        The audio.
    ledger : Ledger
        Records the utterances that are kept and dropped.
    sample_rate_hz : int
        Rate of the packed audio.
    decisions : mapping of str to str, or None
        Utterance -> entry of its voice activity decisions (``vad.scp``); None: not used.
    trim : bool
        Cut out what is not speech.
    split : bool
        Make each stretch of speech an utterance of its own, a piece; not together with ``trim``.
    min_seconds, min_speech_seconds : float
        What is shorter, or has less speech, is dropped by policy; silence always is.
        ``min_seconds`` is for pieces if there are any, ``min_speech_seconds`` for utterances.
    transform : callable or None
        (samples, sample rate) -> samples, applied at the packed rate.
    remarks : mapping of str to str
        Utterance -> what the ledger adds to the reason of a drop, such as that another channel has
        the sound.
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
                f"--sample-rate-hz: {sample_rate_hz}, "
                "expected a positive number of samples per second"
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
        """Counts of the ledger, packed samples, and clipped utterances (or pieces)."""
        return {
            **self.ledger.counts,
            "samples": sum(self.num_samples.values()),
            "clipped_utterances": self.clipped_utterances,
        }

    def write(self, stem: Path, utterances: Iterable[str]) -> list:
        """Pack utterances, and return what was written, for the receipt.

        Writes ``<stem>.ark`` and ``.scp``, ``.num_samples``, ``.dropped``, and ``.utt2original`` of
        pieces.
        """
        with ArchiveWriter(f"{stem}.ark", f"{stem}.scp") as writer:
            for utterance in utterances:
                for key, samples in self._prepare(utterance).items():
                    writer.write_wave(key, samples, self.sample_rate_hz)
                    self.num_samples[key], self.original[key] = len(samples), utterance
        write_map(Path(f"{stem}.num_samples"), self.num_samples)
        self.ledger.write_part(Path(f"{stem}.dropped"))
        outputs = [writer, f"{stem}.num_samples", f"{stem}.dropped"]
        if self.split:
            write_map(Path(f"{stem}.utt2original"), self.original)
            outputs.append(f"{stem}.utt2original")
        return outputs

    def _prepare(self, utterance: str) -> dict[str, np.ndarray]:
        """Audio to pack, (n,) int16, by name of the utterance or piece; enters it in the ledger."""
        try:
            samples, rate = self.reader.read(utterance)
        except UnreadableAudio as error:
            self.ledger.drop(utterance, UNREADABLE, error.reason)
            return {}
        packed, unfit = {}, []
        for key, part in self._parts(utterance, samples, rate).items():
            part = resample(part, rate, self.sample_rate_hz)
            rule, converted = self._convert(part)
            if rule:
                unfit.append((len(part), rule))
            else:
                packed[key] = converted
        if self.split:
            self.ledger.pieces.update(["packed"] * len(packed) + [rule for _, rule in unfit])
        if packed:
            self.ledger.keep(utterance)
        elif unfit:
            longest, rule = max(unfit)
            detail = f"{longest / self.sample_rate_hz:.2f} s"
            if self.split:
                detail += f", the longest of {len(unfit)} pieces"
            self._drop(utterance, rule, detail)
        return packed

    def _drop(self, utterance: str, rule: str, detail: str) -> None:
        """Drop an utterance by policy."""
        remark = self.remarks.get(utterance)
        if remark:
            detail = f"{detail}; {remark}"
        self.ledger.drop(utterance, POLICY + rule, detail)

    def _parts(self, utterance: str, samples: np.ndarray, rate: int) -> dict[str, np.ndarray]:
        """The utterance, its speech, or its pieces; none if it has too little and is dropped."""
        if self.decisions is None:
            return {utterance: samples}
        speech = self._read_decisions(self.decisions, utterance, num_frames(len(samples), rate))
        num_speech = speech.sum()
        if num_speech < max(self.split, self.min_speech_seconds * FRAMES_PER_SECOND):
            speech_seconds, seconds = num_speech / FRAMES_PER_SECOND, len(samples) / rate
            detail = f"{speech_seconds:.2f} s of speech in {seconds:.2f} s"
            self._drop(utterance, "little_speech", detail)
            return {}
        if self.split:
            return {
                piece_name(utterance, start, end): piece
                for start, end, piece in cut_speech(samples, rate, speech)
            }
        if self.trim:
            samples = keep_speech(samples, rate, speech)
        return {utterance: samples}

    def _convert(self, samples: np.ndarray) -> tuple[str, np.ndarray]:
        """The rule that drops the samples, or empty, and the samples as 16-bit integers."""
        if len(samples) < max(1, self.min_seconds * self.sample_rate_hz):
            return "short", to_int16(samples)
        if self.transform and samples.any():
            samples = self.transform(samples, self.sample_rate_hz)
        converted = to_int16(samples)
        if not converted.any():
            return "silent", converted
        self.clipped_utterances += bool(np.abs(samples).max() > 1 + 0.5 / FULL_SCALE)
        return "", converted

    def _read_decisions(
        self, decisions: Mapping[str, str], utterance: str, expected: int
    ) -> np.ndarray:
        where = self.ledger.where
        if utterance not in decisions:
            raise UserError(
                f"{where}: '{utterance}' can be read but has no voice activity decisions; "
                f"remove {where}/vad/receipts and run stage 1 again"
            )
        speech = read_vector(decisions[utterance], key=utterance) > 0
        if len(speech) != expected:
            raise UserError(
                f"{where}: '{utterance}' has {expected} frames but {len(speech)} decisions: "
                "the audio has changed since stage 1; "
                f"remove {where}/vad/receipts and run stage 1 again"
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
    """The lists of packed utterances: those of the source that are still valid, and lengths.

    Segments have become utterances.  `source` has the utterances that were kept; `wav_scp` and
    `num_samples` have the packed ones, or pieces.  `trimmed`: a part was cut, so VAD decisions are
    not valid.  `original`, if utterances were split: piece -> utterance.
    """
    removed = set(OF_SOURCE_AUDIO)
    if trimmed:
        removed.add("vad.scp")
    if original is not None:
        removed |= OF_WHOLE_UTTERANCES
    maps = {
        name: mapping
        for name, mapping in source.maps.items()
        if name not in removed and not name.startswith("reco2")
    }
    utt2spk = source.utt2spk
    if original is not None:
        utt2spk = _map_of_pieces(source.utt2spk, original)
        for name, mapping in maps.items():
            if key_kind(name, maps) == "utterance":
                maps[name] = _map_of_pieces(mapping, original)
        maps["utt2original"] = dict(original)
    maps["utt2num_samples"] = {key: str(number) for key, number in num_samples.items()}
    maps["utt2dur"] = {key: f"{number / sample_rate_hz:.4f}" for key, number in num_samples.items()}
    return DataDir(source.path, dict(wav_scp), utt2spk, None, maps, source.trials)


def _map_of_pieces(mapping: Mapping[str, str], original: Mapping[str, str]) -> dict[str, str]:
    """Each piece with the value of its utterance."""
    return {piece: mapping[utterance] for piece, utterance in original.items()}


def keep_end(seconds: float) -> Callable[[np.ndarray, int], np.ndarray] | None:
    """A transform for `Packer` that keeps the last seconds; None for 0, to keep all."""
    if not seconds:
        return None

    def last_samples(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
        return samples[-max(1, round(seconds * sample_rate_hz)) :]

    return last_samples
