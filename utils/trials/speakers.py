"""Whose voices the trials of a list are."""

from collections.abc import Iterable
from pathlib import Path

from utils.data_dir import read_map
from utils.data_dir.lists import read_spk2utt
from utils.errors import UserError


def speakers_of_sides(
    sides: Iterable[str], data: Path, enroll_spk2utt: Path | None = None
) -> set[str]:
    """Speakers of the sides of trials."""
    utt2spk = read_map(data / "utt2spk")
    models, speakers = models_of(data, enroll_spk2utt), set(utt2spk.values())
    found: set[str] = set()
    for side in set(sides):
        members = [side] if side in utt2spk else models.get(side, [])
        if not members and side not in speakers:
            raise UserError(
                f"{data}/utt2spk: no speaker for '{side}', a side of the trials; without it nobody knows whether its speaker is new"
            )
        for utterance in members:
            if utterance not in utt2spk:
                raise UserError(
                    f"{data}/utt2spk: no speaker for '{utterance}', which model '{side}' enrols"
                )
        found |= {utt2spk[utterance] for utterance in members} or {side}
    return found


def models_of(data: Path, enroll_spk2utt: Path | None = None) -> dict[str, list[str]]:
    """Models of several utterances; none where no list says any."""
    path = enroll_spk2utt or data / "enroll.spk2utt"
    return read_spk2utt(path) if enroll_spk2utt or path.exists() else {}
