"""The speakers of the sides of trials."""

from collections.abc import Iterable
from pathlib import Path

from utils.data_dir import read_map
from utils.data_dir.lists import read_spk2utt
from utils.errors import UserError


def speakers_of_sides(
    sides: Iterable[str], data: Path, enroll_spk2utt: Path | None = None
) -> set[str]:
    """Speakers of sides: utterances, models, or speakers themselves.

    ``data`` has ``utt2spk``; models come from ``enroll_spk2utt``, or else from the
    ``enroll.spk2utt`` of the data directory if it has one.  UserError for an unknown side.
    """
    utt2spk = read_map(data / "utt2spk")
    models, known = read_models(data, enroll_spk2utt), set(utt2spk.values())
    speakers: set[str] = set()
    for side in set(sides):
        members = [side] if side in utt2spk else models.get(side, [])
        if not members:
            if side not in known:
                raise UserError(
                    f"{data}/utt2spk: no speaker for '{side}', a side of the trials, "
                    "expected one: it decides whether the speaker is new; add it"
                )
            speakers.add(side)
        for utterance in members:
            if utterance not in utt2spk:
                raise UserError(
                    f"{data}/utt2spk: no speaker for '{utterance}', an utterance of model '{side}'"
                )
            speakers.add(utt2spk[utterance])
    return speakers


def read_models(data: Path, enroll_spk2utt: Path | None = None) -> dict[str, list[str]]:
    """Models and their utterances, from the files that `speakers_of_sides` uses; may be empty."""
    if enroll_spk2utt:
        return read_spk2utt(enroll_spk2utt)
    path = data / "enroll.spk2utt"
    return read_spk2utt(path) if path.exists() else {}
