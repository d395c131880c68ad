"""Small corpora of one's own: folders, tables, Kaldi directories, with flaws of real corpora."""

import csv
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.lookalike.speechocean762 import draw_voice, speak

FLAWS = ("low_rate", "empty_file", "cut_file", "no_audio", "empty_folder", "unfinished_download")


def write_voice(
    path: Path, speaker: str, number: int, seconds: float = 1.2, sample_rate_hz: int = 16000
) -> None:
    """One utterance of a speaker whose voice follows from the name.

    Parameters
    ----------
    path : path
        Its suffix says the format.
    speaker : str
        Who.
    number : int
        Which of his utterances.
    seconds : float
        Duration.
    sample_rate_hz : int
        As the header says; the sound is made for 16,000.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(speaker.encode())
    voice = draw_voice(np.random.default_rng(seed), "mf"[seed % 2], False)
    soundfile.write(
        path, speak(np.random.default_rng([seed, number]), voice, seconds), sample_rate_hz
    )


def make_tree(
    folder: Path,
    speakers: Sequence[str],
    sessions: Sequence[str] = ("monday", "tuesday"),
    utterances: int = 2,
    *,
    flaws: Sequence[str] = (),
    seconds: float = 1.2,
) -> Path:
    """``<speaker>/<session>/<n>.wav``, every other session as flac.

    Without sessions: ``<speaker>/<n>.wav``.

    Parameters
    ----------
    folder : path
        Made.
    speakers, sessions : sequences of str
        Names of folders.
    utterances : int
        In each session.
    flaws : sequence of str
        Of `FLAWS`: they hit the first speaker's first files.
    seconds : float
        Of each file.
    """
    assert set(flaws) <= set(FLAWS)
    for speaker in speakers:
        for place, session in enumerate(sessions or [""]):
            for number in range(utterances):
                write_voice(
                    folder / speaker / session / f"{number}.{'flac' if place % 2 else 'wav'}",
                    speaker,
                    10 * place + number,
                    seconds,
                )
    first = [
        folder / speakers[0] / (sessions or [""])[0] / f"{number}.wav"
        for number in range(utterances)
    ]
    if "low_rate" in flaws:
        write_voice(first[0], speakers[0], 0, seconds, 4000)
    if "empty_file" in flaws:
        first[0].write_bytes(b"")
    if "cut_file" in flaws:
        first[-1].write_bytes(first[-1].read_bytes()[:1000])
    if "no_audio" in flaws:
        (folder / "README.txt").write_text("about")
        (folder / "docs").mkdir()
        (folder / "docs" / "licence.txt").write_text("free")
    if "empty_folder" in flaws:
        (folder / "zz_last").mkdir()
    if "unfinished_download" in flaws:
        (folder / "rest.zip.part").write_bytes(b"PK")
    return folder


def write_table(
    path: Path, rows: Sequence[dict[str, str]], delimiter: str = ",", before: str = ""
) -> Path:
    """A table of these rows, whose keys are the columns.

    Parameters
    ----------
    path : path
        The file.
    rows : sequence of dicts
        All with the same keys.
    delimiter : str
        Between fields.
    before : str
        Text in front of the header.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(before)
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def make_kaldi(
    folder: Path,
    speakers: Sequence[str],
    utterances: int = 2,
    *,
    relative_to: Path | None = None,
    seconds: float = 0.5,
) -> Path:
    """A Kaldi directory with its audio beside it, half of the speakers women.

    Parameters
    ----------
    folder : path
        Made.
    speakers : sequence of str
        Ids.
    utterances : int
        Of each.
    relative_to : path or None
        Folder that paths in wav.scp start from; None: they are absolute.
    seconds : float
        Of each file.
    """
    lists = {name: [] for name in ("wav.scp", "utt2spk", "spk2utt", "spk2gender", "utt2session")}
    for place, speaker in enumerate(sorted(speakers)):
        names = [f"{speaker}-{number}" for number in range(utterances)]
        for number, name in enumerate(names):
            path = folder / "audio" / f"{name}.wav"
            write_voice(path, speaker, number, seconds)
            lists["wav.scp"].append(
                f"{name} {path.relative_to(relative_to) if relative_to else path}"
            )
            lists["utt2spk"].append(f"{name} {speaker}")
            lists["utt2session"].append(f"{name} day{number % 2}")
        lists["spk2utt"].append(" ".join([speaker, *names]))
        lists["spk2gender"].append(f"{speaker} {'fm'[place % 2]}")
    for name, lines in lists.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder
