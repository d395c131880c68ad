"""Check a list of trials against utt2spk, against the enrolment models, and against itself.

A trial's class has to agree with the speakers of its two sides, as far as utt2spk knows them.  A
side has an unknown speaker if utt2spk gives the side's own name (Kaldi's SRE16 writes ``utt utt``).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from operator import eq

import numpy as np

from utils.data_dir.formats import Fault, Tables
from utils.data_dir.trial_list import (
    Trials,
    has_repeated_pair,
    look_up,
    number_names,
    pair_codes,
    target_mask,
)

BOTH = {"target", "nontarget"}
MODELS = "enroll.spk2utt"
WITHOUT_CLASS = (
    "trials without a class (target, nontarget): they can be scored, but have no error rate"
)


class Lists:
    """Trials and the lists about their sides; ``utt2spk`` and ``models`` may be empty.

    ``models``: enrolment model -> utterances; ``file``: name of the list of trials, for messages.
    ``enrol_speakers`` and ``test_speakers`` map the names of either side to their speakers, if
    these are known.
    """

    def __init__(
        self,
        trials: Trials,
        utt2spk: Mapping[str, str],
        models: Mapping[str, Sequence[str]],
        file: str = "trials",
    ):
        self.trials, self.utt2spk, self.models, self.file = trials, utt2spk, models, file
        self.test_speakers = self._utterance_speakers(set(trials.test))
        self.enrol_speakers = self._enrolment_speakers(set(trials.enrol))

    def _utterance_speakers(self, names: Collection[str]) -> dict[str, str]:
        """Speakers of utterances; without those that have the utterance's own name."""
        speakers = {}
        for name in names:
            speaker = self.utt2spk.get(name, name)
            if speaker != name:
                speakers[name] = speaker
        return speakers

    def _enrolment_speakers(self, names: set[str]) -> dict[str, str]:
        """Speakers of enrolment sides: of models, utterances, and speakers themselves."""
        models = names & self.models.keys()
        result = self._utterance_speakers(names - models)
        for model in models:
            speakers = set(self._utterance_speakers(self.models[model]).values())
            if len(speakers) == 1:
                result[model] = speakers.pop()
        for name in (names - models - self.utt2spk.keys()) & set(self.utt2spk.values()):
            result[name] = name
        own = {name for name, speaker in result.items() if name == speaker}
        # if no test side has one of these speakers, the names are those of unlisted models
        if own and own.isdisjoint(self.test_speakers.values()):
            for name in own:
                del result[name]
        return result

    def same_speaker(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether both sides have the same speaker, and whether that is known: (T,) bool arrays."""
        speakers = {*self.enrol_speakers.values(), *self.test_speakers.values()}
        numbers = number_names(speakers)
        left = _speaker_numbers(self.trials.enrol, self.enrol_speakers, numbers)
        right = _speaker_numbers(self.trials.test, self.test_speakers, numbers)
        return left == right, (left >= 0) & (right >= 0)

    def with_itself(self) -> np.ndarray:
        """Rows of the trials that compare an utterance with itself."""
        enrol, test = self.trials.enrol, self.trials.test
        if set(enrol).isdisjoint(test):
            return np.empty(0, np.int64)
        rows = np.flatnonzero(np.fromiter(map(eq, enrol, test), bool, len(enrol)))
        return np.array([row for row in rows.tolist() if enrol[row] not in self.models], np.int64)

    def inside_model(self) -> np.ndarray:
        """Rows of the trials that test an utterance of their own model."""
        names: list[str] = []
        utterances: list[str] = []
        for name in set(self.trials.enrol) & self.models.keys():
            names += [name] * len(self.models[name])
            utterances += self.models[name]
        if set(utterances).isdisjoint(self.trials.test):
            return np.empty(0, np.int64)
        numbers = number_names(self.trials.enrol), number_names(self.trials.test)
        enrolled = pair_codes(numbers, names, utterances)
        codes = pair_codes(numbers, self.trials.enrol, self.trials.test)
        return np.flatnonzero(np.isin(codes, enrolled[enrolled >= 0]))

    def both_classes(self, rows: np.ndarray) -> tuple[int, int] | None:
        """Rows of the first pair of names that is both target and nontarget, the earlier first.

        Only these ``rows`` are checked.  Two utterances are the same pair in either order.
        """
        assert self.trials.kinds is not None, "a list with classes"
        enrol, test, kinds = [], [], []
        for row in rows.tolist():
            name = self.trials.enrol[row]
            # a model may have the name of an utterance: the blank makes its name different
            enrol.append(f"{name} " if name in self.models else name)
            test.append(self.trials.test[row])
            kinds.append(self.trials.kinds[row])
        numbers = number_names(chain(enrol, test))
        left, right = look_up(numbers, enrol), look_up(numbers, test)
        codes = np.minimum(left, right) * len(numbers) + np.maximum(left, right)
        is_target = target_mask(kinds)
        in_both = np.intersect1d(codes[is_target], codes[~is_target])
        first: dict[int, int] = {}
        for index in np.flatnonzero(np.isin(codes, in_both)).tolist():
            earlier = first.setdefault(int(codes[index]), index)
            if kinds[earlier] != kinds[index]:
                return int(rows[earlier]), int(rows[index])
        return None


def _speaker_numbers(
    names: Sequence[str], speakers: Mapping[str, str], numbers: Mapping[str, int]
) -> np.ndarray:
    """The number of each name's speaker, -1 if it is not known."""
    return look_up({name: numbers[speaker] for name, speaker in speakers.items()}, names)


def agreement_faults(lists: Lists) -> Iterator[Fault]:
    """The first trial of each kind that contradicts the other lists or the list itself.

    A list without classes is not checked: it has no error rate that could be wrong.
    """
    trials, kinds = lists.trials, lists.trials.kinds
    if kinds is None:
        return
    yield from _same_utterance_faults(lists)
    same, known = lists.same_speaker()
    wrong = np.flatnonzero(known & (same != target_mask(kinds)))
    if len(wrong):
        yield _class_fault(lists, int(wrong[0]), len(wrong), int(known.sum()))
    unknown = np.flatnonzero(~known)
    contradiction = lists.both_classes(unknown) if len(unknown) else None
    if contradiction:
        first, again = contradiction
        yield Fault(
            lists.file,
            again + 1,
            f"trial '{trials.enrol[again]} {trials.test[again]}' is {kinds[again]}, "
            f"in line {first + 1} {kinds[first]}, "
            "expected one class for a pair; remove the wrong one",
        )


def _same_utterance_faults(lists: Lists) -> Iterator[Fault]:
    """The first trial of an utterance with itself, and with a model that contains it."""
    trials = lists.trials
    alone, inside = lists.with_itself(), lists.inside_model()
    if len(alone):
        row = int(alone[0])
        yield Fault(
            lists.file,
            row + 1,
            f"trial of utterance '{trials.test[row]}' with itself, expected two recordings; "
            f"{len(alone):,} of {len(trials):,} trials are like this: remove them",
        )
    if len(inside):
        row = int(inside[0])
        yield Fault(
            lists.file,
            row + 1,
            f"test side '{trials.test[row]}' is an utterance of its own model "
            f"'{trials.enrol[row]}' ({MODELS}), expected one that the model does not contain; "
            f"{len(inside):,} of {len(trials):,} trials are like this: remove them, "
            "or remove the utterances from the models",
        )


def _class_fault(lists: Lists, row: int, num_wrong: int, num_known: int) -> Fault:
    """The first trial whose class contradicts its speakers."""
    trials = lists.trials
    assert trials.kinds is not None, "a list with classes"
    enrol, test, kind = trials.enrol[row], trials.test[row], trials.kinds[row]
    left, right = lists.enrol_speakers[enrol], lists.test_speakers[test]
    if kind == "target":
        speakers, expected = f"'{left}' and '{right}'", "nontarget"
    else:
        speakers, expected = f"'{left}' on both sides", "target"
    source = f"utt2spk and {MODELS} say" if enrol in lists.models else "utt2spk says"
    hint = " (are the classes reversed?)" if 2 * num_wrong > num_known else ""
    return Fault(
        lists.file,
        row + 1,
        f"trial '{enrol} {test}' is {kind}, but {source} {speakers}, expected {expected}; "
        f"{num_wrong:,} of {num_known:,} trials are like this{hint}; "
        "correct the class or the speaker",
    )


def class_faults(file: str, classes: Sequence[str]) -> Iterator[Fault]:
    """Classes other than target and nontarget."""
    if set(classes) <= BOTH:
        return
    for number, word in enumerate(classes, start=1):
        if word not in BOTH:
            yield Fault(
                file,
                number,
                f"class '{word}', expected target or nontarget; "
                "write the list as '<enrol> <test> target|nontarget'",
            )


def no_error_rate(trials: Trials) -> str:
    """Why a list has no error rate; empty if it has one."""
    if trials.kinds is None:
        return f"{len(trials):,} {WITHOUT_CLASS}"
    if len(trials.classes) == 1:
        return (
            f"all {len(trials):,} trials are {trials.kinds[0]}, "
            "expected both target and nontarget for an error rate: "
            "they can be scored, but have none"
        )
    return ""


def trial_notes(lists: Lists) -> list[str]:
    """Notes about valid trials: no error rate, or classes that cannot be checked."""
    trials = lists.trials
    notes = []
    if reason := no_error_rate(trials):
        notes.append(reason)
    if trials.kinds is None:
        same = len(lists.with_itself()) + len(lists.inside_model())
        if same:
            notes.append(
                f"{same:,} of {len(trials):,} trials compare an utterance with itself "
                "or with a model of it"
            )
    elif lists.utt2spk:
        _, known = lists.same_speaker()
        unchecked = np.flatnonzero(~known)
        if len(unchecked):
            notes.append(_unchecked_note(lists, unchecked))
    return notes


def _unchecked_note(lists: Lists, unchecked: np.ndarray) -> str:
    trials, row = lists.trials, unchecked[0]
    side = trials.test[row]
    if side in lists.test_speakers:
        side = trials.enrol[row]
    return (
        f"the classes of {len(unchecked):,} of {len(trials):,} trials cannot be checked: "
        f"utt2spk has no speaker for '{side}' (line {row + 1})"
    )


def trial_faults(tables: Tables) -> Iterator[Fault]:
    """The faults of models and trials in a data directory with a well-formed utt2spk.

    Models of unknown utterances or of two speakers; trials that are repeated, have an unknown side,
    or contradict the speakers of the other lists.
    """
    models = models_in(tables)
    utterances = set(tables["utt2spk"][0])
    if models:
        yield from _model_faults(tables, models, utterances)
    if "trials" not in tables:
        return
    trials = Trials(*tables["trials"])
    if trials.kinds is not None:
        yield from class_faults("trials", trials.kinds)
    yield from _side_faults(trials, utterances, set(tables["utt2spk"][1]) | models.keys())
    repeated = list(_repetitions(trials)) if has_repeated_pair(trials.enrol, trials.test) else []
    yield from repeated
    if trials.classes <= BOTH:
        lines = {fault.line for fault in repeated}
        for fault in agreement_faults(lists_in(tables)):
            if fault.line not in lines:
                yield fault


def lists_in(tables: Tables) -> Lists:
    """The `Lists` of a data directory with well-formed utt2spk and trials."""
    utt2spk = dict(zip(*tables["utt2spk"], strict=True))
    return Lists(Trials(*tables["trials"]), utt2spk, models_in(tables))


def models_in(tables: Tables) -> dict[str, list[str]]:
    """Enrolment models and their utterances; empty if there is no list of them."""
    names, members = tables.get(MODELS, [[], []])
    return {name: ids.split() for name, ids in zip(names, members, strict=True)}


def _model_faults(
    tables: Tables, models: Mapping[str, Sequence[str]], utterances: Collection[str]
) -> Iterator[Fault]:
    """Models with unknown utterances, or of two speakers."""
    unknown = set(chain.from_iterable(models.values())).difference(utterances)
    if unknown:
        for number, members in enumerate(tables[MODELS][1], start=1):
            for member in members.split():
                if member in unknown:
                    yield Fault(
                        MODELS,
                        number,
                        f"utterance '{member}' is not in utt2spk, expected a known one; "
                        "add it or remove the model",
                    )
    yield from models_of_two_speakers(models, dict(zip(*tables["utt2spk"], strict=True)))


def models_of_two_speakers(
    models: Mapping[str, Sequence[str]], utt2spk: Mapping[str, str]
) -> Iterator[Fault]:
    """Models with utterances of several speakers; models are in the order of their list.

    The speaker of an utterance is unknown if utt2spk lacks it or names the utterance itself.
    """
    for number, (model, members) in enumerate(models.items(), start=1):
        speakers = {}
        for member in members:
            speaker = utt2spk.get(member, member)
            if speaker != member:
                speakers[speaker] = member
        if len(speakers) > 1:
            first, second = sorted(speakers)[:2]
            yield Fault(
                MODELS,
                number,
                f"model '{model}' has utterances of '{first}' ('{speakers[first]}') "
                f"and '{second}' ('{speakers[second]}'), "
                "expected those of one speaker; correct the model or utt2spk",
            )


def _side_faults(
    trials: Trials, utterances: Collection[str], others: Collection[str]
) -> Iterator[Fault]:
    """The first trial of each name that no list has."""
    unknown = set(trials.enrol).difference(utterances, others)
    for number, side in _first_lines(trials.enrol, unknown):
        yield Fault(
            "trials",
            number,
            f"enrolment side '{side}' is not in enroll.spk2utt or utt2spk, "
            "expected a model, speaker or utterance; add it there or remove the trial",
        )
    for number, side in _first_lines(trials.test, set(trials.test).difference(utterances)):
        yield Fault(
            "trials",
            number,
            f"test side '{side}' is not in utt2spk, expected an utterance; "
            "add it there or remove the trial",
        )


def _first_lines(names: Sequence[str], wanted: set[str]) -> Iterator[tuple[int, str]]:
    """Number of the first line with each of these names, and the name."""
    if wanted:
        for number, name in enumerate(names, start=1):
            if name in wanted:
                wanted.remove(name)
                yield number, name


def _repetitions(trials: Trials) -> Iterator[Fault]:
    """Pairs of sides that occur again."""
    first: dict[tuple[str, str], int] = {}
    kinds = trials.kinds or [""] * len(trials)
    for number, pair in enumerate(zip(trials.enrol, trials.test, strict=True), start=1):
        before = first.setdefault(pair, number)
        if before == number:
            continue
        now, earlier = "again", f"line {before}"
        if kinds[before - 1] != kinds[number - 1]:
            now, earlier = f"again, as {kinds[number - 1]}", f"{earlier}, as {kinds[before - 1]}"
        yield Fault(
            "trials",
            number,
            f"trial '{' '.join(pair)}' {now}, expected each once (first: {earlier}); "
            "remove one of them",
        )
