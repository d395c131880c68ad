"""Test trials from a file of their own, whose sides are ids or files of the corpus."""

import os
from collections.abc import Collection
from pathlib import Path

from local.own.corpus import Corpus
from local.own.kaldi import entry_file
from local.own.measure import utterance_recording
from utils.data_dir.trial_list import Trials
from utils.data_dir.trial_rules import BOTH, Lists, agreement_faults
from utils.errors import UserError
from utils.files import read_lines

FORM = "expected '<enrolment> <test>' or '<enrolment> <test> target|nontarget'"


def take_trials(corpus: Corpus, path: Path) -> None:
    """Give a corpus the test trials of a file, in place of its own: their speakers are for test.

    A side is an utterance, an enrolment model or speaker of the corpus, or a file, absolute or
    relative to the corpus. In a line with tabs only these separate, so that paths may have blanks.
    UserError: a side is unknown, a class contradicts the speakers, a pair is repeated, or the
    corpus has one of the speakers in another set.
    """
    sides = _Sides(corpus)
    first_lines: dict[tuple[str, str], int] = {}
    trials = []
    width = 0
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}:{number}"
        fields = _split_line(line)
        width = width or len(fields)
        _check_fields(where, fields, width)
        enrol = sides.find(where, fields[0], sides.enrolments)
        test = sides.find(where, fields[1], sides.utterances)
        first = first_lines.setdefault((enrol, test), number)
        if first != number:
            raise UserError(
                f"{where}: trial '{enrol} {test}' again, first in line {first}, expected each "
                "once; remove one of them"
            )
        trials.append(" ".join([enrol, test, *fields[2:]]))
    if not trials:
        raise UserError(f"{path}: no trials, {FORM} in each line")
    lists = Lists(Trials.of(trials), corpus.data.utt2spk, sides.models)
    for fault in agreement_faults(lists):
        raise UserError(f"{path}:{fault.line}: {fault.text}")
    if "test" in corpus.trials:
        corpus.notes.append(f"the trials of test that came with it are not used, but {path}")
    corpus.trials["test"] = trials
    _set_apart(corpus, sides.speakers(lists.trials), path)


def _split_line(line: str) -> list[str]:
    """Fields of a line: between tabs, or where it has none, between blanks."""
    line = line.strip()
    if "\t" in line:
        return [field.strip() for field in line.split("\t")]
    return line.split()


def _check_fields(where: str, fields: list[str], width: int) -> None:
    """Refuse lines of another form than the first, and unknown classes."""
    if len(fields) not in (2, 3):
        raise UserError(
            f"{where}: {len(fields)} fields, {FORM}; where paths contain blanks, separate by tabs"
        )
    if len(fields) != width:
        raise UserError(
            f"{where}: {len(fields)} fields, expected {width} as in line 1; give all trials a "
            "class, or none"
        )
    if width == 3 and fields[2] not in BOTH:
        raise UserError(f"{where}: class '{fields[2]}', {FORM}; write the line like this")


class _Sides:
    """What the two sides of a trial may name."""

    def __init__(self, corpus: Corpus):
        data = corpus.data
        self.utt2spk = data.utt2spk
        self.models = {
            model: members.split() for model, members in corpus.models.get("test", {}).items()
        }
        self.utterances: Collection[str] = data.utt2spk.keys()
        self.enrolments = {*self.utterances, *self.models, *data.utt2spk.values()}
        self.start = corpus.start or data.path
        if self.start.is_file():
            self.start = self.start.parent
        self.of_file: dict[str, list[str]] = {}  # absolute path -> utterances
        for utterance in self.utterances:
            entry = data.wav_scp.get(utterance_recording(data, utterance), "")
            if entry_file(entry) == entry != "":
                self.of_file.setdefault(os.path.abspath(entry), []).append(utterance)

    def find(self, where: str, side: str, names: Collection[str]) -> str:
        """The id that a side names."""
        if side in names:
            return side
        utterances = self.of_file.get(os.path.abspath(self.start / side), [])
        if len(utterances) > 1:
            raise UserError(
                f"{where}: '{side}' has {len(utterances)} utterances, expected one; write the id "
                f"of one, for example '{utterances[0]}'"
            )
        if not utterances:
            raise UserError(
                f"{where}: '{side}' is neither an utterance nor a file of the corpus, expected an "
                f"id, or a path that is absolute or relative to {self.start}; correct it, or "
                "remove the line"
            )
        return utterances[0]

    def speakers(self, trials: Trials) -> set[str]:
        """Speakers of both sides of all trials."""
        speakers = set()
        for side in {*trials.enrol, *trials.test}:
            members = self.models.get(side, [side])
            speakers |= {self.utt2spk.get(member, member) for member in members}
        return speakers


def _set_apart(corpus: Corpus, tested: set[str], path: Path) -> None:
    """Note that these speakers are for test; UserError where the corpus says otherwise."""
    for speaker in sorted(tested):
        name = corpus.spk2set.get(speaker, "no set") if corpus.spk2set else "test"
        if name != "test":
            raise UserError(
                f"{path}: speaker '{speaker}' of the trials is in {name} of {corpus.data.path}, "
                "expected speakers of test; correct the sets, or remove the trials"
            )
    if not corpus.spk2set:
        corpus.spk2set.update(dict.fromkeys(tested, "test"))
