"""The stretches of speech of a set as segments, and how much speech there is."""

from collections.abc import Iterable, Mapping

import numpy as np

from utils.vad.base import FRAMES_PER_SECOND

MAX_NAMED = 5


def piece_name(utterance: str, start: int, end: int) -> str:
    """Name of the piece of an utterance from frame `start` to `end` (exclusive, 10 ms frames).

    As Kaldi's diarization names segments; sorting by byte sorts by time.
    """
    return f"{utterance}-{start:07}-{end:07}"


def segment_lines(
    utterance: str, stretches: Iterable[tuple[int, int]], segments: Mapping[str, str] | None
) -> list[str]:
    """Lines ``<piece> <recording> <start> <end>`` of a file ``segments``, in seconds.

    `stretches` has start and end frames.  `segments` is that of the utterances themselves, if they
    are segments; times count from the recording's start.
    """
    recording, offset_seconds, digits = utterance, 0.0, 2
    if segments is not None:
        recording, start_text = segments[utterance].split()[:2]
        offset_seconds, digits = float(start_text), 4
    lines = []
    for start, end in stretches:
        name = piece_name(utterance, start, end)
        start_seconds = offset_seconds + start / FRAMES_PER_SECOND
        end_seconds = offset_seconds + end / FRAMES_PER_SECOND
        lines.append(f"{name} {recording} {start_seconds:.{digits}f} {end_seconds:.{digits}f}\n")
    return lines


def speech_summary(num_frames: Mapping[str, int], num_speech: Mapping[str, int]) -> dict:
    """Summary of a set, from the numbers of frames and of speech frames of each utterance.

    ``frames`` and ``speech_frames`` of the set; ``speech_fraction``: minimum, quartiles and maximum
    over utterances; ``without_speech``: number of utterances without any.
    """
    fractions = [num_speech[utterance] / max(1, frames) for utterance, frames in num_frames.items()]
    quantiles = np.zeros(5)
    if fractions:
        quantiles = np.quantile(fractions, [0, 0.25, 0.5, 0.75, 1])
    return {
        "frames": sum(num_frames.values()),
        "speech_frames": sum(num_speech.values()),
        "speech_fraction": [round(float(quantile), 4) for quantile in quantiles],
        "without_speech": sum(not number for number in num_speech.values()),
    }


def summary_lines(where: str, num_speech: Mapping[str, int], summary: Mapping) -> list[str]:
    """Text of a `speech_summary`, with the names of the first utterances without speech."""
    speech_frames, frames = summary["speech_frames"], summary["frames"]
    speech_hours = speech_frames / FRAMES_PER_SECOND / 3600
    hours = frames / FRAMES_PER_SECOND / 3600
    quantiles = " / ".join(f"{fraction:.0%}" for fraction in summary["speech_fraction"])
    share = f"{speech_frames / max(1, frames):.1%} of {hours:.2f} hours ({speech_hours:.2f} hours)"
    lines = [
        f"{where}: speech in {share}; per utterance {quantiles} (minimum, quartiles, maximum)",
    ]
    silent = sorted(utterance for utterance, number in num_speech.items() if not number)
    if silent:
        names = ", ".join(silent[:MAX_NAMED])
        if len(silent) > MAX_NAMED:
            names += ", ..."
        lines.append(
            f"{where}: no speech in {len(silent):,} of {len(num_speech):,} utterances: {names}"
        )
    return lines
