"""What the decisions of a set come to: its stretches of speech as segments, and how much speech there is in it."""

from collections.abc import Iterable, Mapping

import numpy as np

from utils.vad.base import FRAMES_PER_SECOND

MOST_NAMED = 5


def piece_name(utterance: str, start: int, end: int) -> str:
    """Name of a stretch of an utterance, as Kaldi's diarization names segments; in byte order such names are in the order of time.

    Parameters
    ----------
    utterance : str
        Its name.
    start, end : int
        First 10 ms frame, and that behind the last.
    """
    return f"{utterance}-{start:07}-{end:07}"


def segment_lines(
    utterance: str, stretches: Iterable[tuple[int, int]], segments: Mapping[str, str] | None
) -> list[str]:
    """Lines ``<piece> <recording> <start> <end>`` of a list of segments.

    Parameters
    ----------
    utterance : str
        Its name.
    stretches : iterable of (int, int)
        First frame and frame behind the last, of each stretch of speech.
    segments : mapping of str to str, or None
        Where the utterances themselves are segments: utterance -> ``<recording> <start> <end>``; times then count from the recording's start.
    """
    recording, offset_seconds, digits = utterance, 0.0, 2
    if segments is not None:
        recording, text = segments[utterance].split()[:2]
        offset_seconds, digits = float(text), 4
    return [
        f"{piece_name(utterance, start, end)} {recording} {offset_seconds + start / FRAMES_PER_SECOND:.{digits}f} "
        f"{offset_seconds + end / FRAMES_PER_SECOND:.{digits}f}\n"
        for start, end in stretches
    ]


def speech_summary(num_frames: Mapping[str, int], num_speech: Mapping[str, int]) -> dict:
    """How much speech there is in a set.

    Parameters
    ----------
    num_frames, num_speech : mappings of str to int
        Utterance -> frames in all, and frames of speech.

    Returns
    -------
    dict
        ``frames`` and ``speech_frames`` of all; ``speech_fraction``: minimum, quartiles and maximum over the utterances; ``without_speech``: how
        many utterances have none.
    """
    fractions = [num_speech[utterance] / max(1, frames) for utterance, frames in num_frames.items()]
    five = np.quantile(fractions, [0, 0.25, 0.5, 0.75, 1]) if fractions else np.zeros(5)
    return {
        "frames": sum(num_frames.values()),
        "speech_frames": sum(num_speech.values()),
        "speech_fraction": [round(float(x), 4) for x in five],
        "without_speech": sum(not number for number in num_speech.values()),
    }


def summary_lines(where: str, num_speech: Mapping[str, int], summary: Mapping) -> list[str]:
    """The summary in words, with the first utterances that have no speech.

    Parameters
    ----------
    where : str
        The data directory.
    num_speech : mapping of str to int
        Utterance -> frames of speech.
    summary : mapping
        From `speech_summary`.
    """
    hours, total = (
        summary[kind] / FRAMES_PER_SECOND / 3600 for kind in ("speech_frames", "frames")
    )
    five = " / ".join(f"{fraction:.0%}" for fraction in summary["speech_fraction"])
    lines = [
        (
            f"{where}: speech in {summary['speech_frames'] / max(1, summary['frames']):.1%} of {total:.2f} hours ({hours:.2f} hours); "
            f"per utterance {five} (minimum, quartiles, maximum)"
        )
    ]
    if summary["without_speech"]:
        silent = sorted(utterance for utterance, number in num_speech.items() if not number)
        lines.append(
            f"{where}: no speech in {len(silent):,} of {len(num_speech):,} utterances: {', '.join(silent[:MOST_NAMED])}"
            + (", ..." if len(silent) > MOST_NAMED else "")
        )
    return lines
