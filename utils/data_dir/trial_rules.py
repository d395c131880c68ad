"""What a list of trials has to agree with: utt2spk, the enrolment models, and itself.

A trial's class is what the speakers of its two sides say, as far as utt2spk knows them.  A side
whose speaker has the side's own name (Kaldi's SRE16 writes ``utt utt``) is of an unknown speaker.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import eq

import numpy as np

from utils.data_dir.formats import Fault, Tables
from utils.data_dir.trial_list import Trials, pair_codes, places_of, some_pair_again

BOTH = {"target", "nontarget"}
MODELS = "enroll.spk2utt"
WITHOUT_CLASS = (
    "trials without a class (target, nontarget): they can be scored, but have no error rate"
)


class Lists:
    """Trials, and what is known of the names in them."""

    def __init__(
        self,
        trials: Trials,
        utt2spk: Mapping[str, str],
        models: Mapping[str, Sequence[str]],
        file: str = "trials",
    ):
        self.trials, self.utt2spk, self.models, self.file = trials, utt2spk, models, file
        self.test_speakers = self._of_utterances(set(trials.test))
        self.enrol_speakers = self._of_enrolments(set(trials.enrol))

    def _of_utterances(self, names: Collection[str]) -> dict[str, str]:
        """Speakers of utterances, but for those that have the utterance's own name."""
        speaker_of = self.utt2spk.get
        return {name: who for name in names if (who := speaker_of(name, name)) != name}

    def _of_enrolments(self, names: set[str]) -> dict[str, str]:
        """Speakers of enrolment sides: of models by their utterances, of utterances, and of speakers themselves."""
        found = self._of_utterances(names - self.models.keys())
        for model in names & self.models.keys():
            speakers = set(self._of_utterances(self.models[model]).values())
            if len(speakers) == 1:
                found[model] = speakers.pop()
        others = names - self.models.keys() - self.utt2spk.keys()
        found |= {name: name for name in others & set(self.utt2spk.values())}
        own = {name for name, speaker in found.items() if name == speaker}
        # Names of models, where no test is of a speaker called so.
        if own and own.isdisjoint(self.test_speakers.values()):
            found = {name: speaker for name, speaker in found.items() if name not in own}
        return found

    def same_speaker(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether the sides of each trial are of one speaker, and whether that is known: (T,) bool arrays."""
        speakers = {*self.enrol_speakers.values(), *self.test_speakers.values()}
        place = places_of(speakers)
        left = _numbers_of(self.trials.enrol, self.enrol_speakers, place)
        right = _numbers_of(self.trials.test, self.test_speakers, place)
        return left == right, (left >= 0) & (right >= 0)

    def with_itself(self) -> np.ndarray:
        """Rows of the trials of an utterance with itself."""
        enrol, test = self.trials.enrol, self.trials.test
        if set(enrol).isdisjoint(test):
            return np.empty(0, np.int64)
        rows = np.flatnonzero(np.fromiter(map(eq, enrol, test), bool, len(enrol)))
        return np.array([row for row in rows.tolist() if enrol[row] not in self.models], np.int64)

    def inside_model(self) -> np.ndarray:
        """Rows of the trials whose test side is an utterance of the model."""
        used = {name: self.models[name] for name in set(self.trials.enrol) & self.models.keys()}
        enrolled = set(chain.from_iterable(used.values()))
        if enrolled.isdisjoint(self.trials.test):
            return np.empty(0, np.int64)
        places = places_of(self.trials.enrol), places_of(self.trials.test)
        names = [model for model, members in used.items() for _ in members]
        heard = pair_codes(places, names, [key for members in used.values() for key in members])
        codes = pair_codes(places, self.trials.enrol, self.trials.test)
        return np.flatnonzero(np.isin(codes, heard[heard >= 0]))

    def both_classes(self, rows: np.ndarray) -> tuple[int, int] | None:
        """Rows of the first pair of names that is called target and nontarget, the earlier one first.

        Two utterances are the same pair in either order.
        """
        assert self.trials.kinds is not None, "a list with classes"
        enrol = [self.trials.enrol[row] for row in rows.tolist()]
        test = [self.trials.test[row] for row in rows.tolist()]
        kinds = [self.trials.kinds[row] for row in rows.tolist()]
        # A model may have the name of an utterance: it gets one that no test has.
        enrol = [f"{name} " if name in self.models else name for name in enrol]
        place = places_of(chain(enrol, test))
        left, right = (np.fromiter(map(place.get, side), np.int64) for side in (enrol, test))
        codes = np.minimum(left, right) * len(place) + np.maximum(left, right)
        is_target = np.fromiter(map("target".__eq__, kinds), bool, len(kinds))
        twofold = np.intersect1d(codes[is_target], codes[~is_target])
        first: dict[int, int] = {}
        for at in np.flatnonzero(np.isin(codes, twofold)).tolist():
            earlier = first.setdefault(int(codes[at]), at)
            if kinds[earlier] != kinds[at]:
                return int(rows[earlier]), int(rows[at])
        return None


def _numbers_of(
    names: Sequence[str], speaker_of: Mapping[str, str], place: Mapping[str, int]
) -> np.ndarray:
    """A number for the speaker of each name, -1 where it is not known."""
    number_of = {name: place[speaker] for name, speaker in speaker_of.items()}
    return np.fromiter(map(number_of.get, names, repeat(-1)), np.int64, len(names))


def agreement_faults(lists: Lists) -> Iterator[Fault]:
    """The first trial of each kind that contradicts the other lists or the list itself.

    Of a list without classes nothing is asked: it has no error rate that could be wrong.
    """
    trials, kinds = lists.trials, lists.trials.kinds
    if kinds is None:
        return
    alone, inside = lists.with_itself(), lists.inside_model()
    if len(alone):
        yield Fault(
            lists.file,
            int(alone[0]) + 1,
            f"trial of utterance '{trials.test[alone[0]]}' with itself, expected two recordings; "
            f"{_count(alone, trials)} such: remove them",
        )
    if len(inside):
        row = int(inside[0])
        yield Fault(
            lists.file,
            row + 1,
            f"test side '{trials.test[row]}' is an utterance of its own model '{trials.enrol[row]}' ({MODELS}), expected one that "
            f"the model has not heard; {_count(inside, trials)} such: remove them, or take the utterances off the models",
        )
    same, known = lists.same_speaker()
    is_target = np.fromiter(map("target".__eq__, kinds), bool, len(kinds))
    wrong = np.flatnonzero(known & (same != is_target))
    if len(wrong):
        yield _class_fault(lists, int(wrong[0]), len(wrong), int(known.sum()))
    unknown = np.flatnonzero(~known)
    twice = lists.both_classes(unknown) if len(unknown) else None
    if twice:
        first, again = twice
        yield Fault(
            lists.file,
            again + 1,
            f"trial '{trials.enrol[again]} {trials.test[again]}' is called {kinds[again]}, in line {first + 1} {kinds[first]}, "
            "expected one class for a pair; remove the wrong one",
        )


def _count(rows: np.ndarray, trials: Trials) -> str:
    """How many of the trials."""
    return f"{len(rows):,} of {len(trials):,} trials are"


def _class_fault(lists: Lists, row: int, num_wrong: int, num_known: int) -> Fault:
    """What is wrong with the first trial whose class is not that of its speakers."""
    trials = lists.trials
    assert trials.kinds is not None, "a list with classes"
    enrol, test, kind = trials.enrol[row], trials.test[row], trials.kinds[row]
    left, right = lists.enrol_speakers[enrol], lists.test_speakers[test]
    whose = f"'{left}' and '{right}'" if kind == "target" else f"'{left}' on both sides"
    by = f"utt2spk and {MODELS} say" if enrol in lists.models else "utt2spk says"
    expected = "nontarget" if kind == "target" else "target"
    hint = " (are the classes reversed?)" if 2 * num_wrong > num_known else ""
    return Fault(
        lists.file,
        row + 1,
        f"trial '{enrol} {test}' is called {kind}, but {by} {whose}, expected {expected}; "
        f"{num_wrong:,} of {num_known:,} trials differ so{hint}; correct the class or the speaker",
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
                f"class '{word}', expected target or nontarget; write the list as '<enrol> <test> target|nontarget'",
            )


def no_error_rate(trials: Trials) -> str:
    """Why a list has no error rate; empty where it has one."""
    if trials.kinds is None:
        return f"{len(trials):,} {WITHOUT_CLASS}"
    if len(trials.classes) == 1:
        return (
            f"all {len(trials):,} trials are {trials.kinds[0]}, expected both target and nontarget for an error rate: "
            "they can be scored, but have none"
        )
    return ""


def trial_notes(lists: Lists) -> list[str]:
    """What is worth saying of trials that are good, a sentence each."""
    trials = lists.trials
    found = [no_error_rate(trials)]
    if trials.kinds is None:
        heard = len(lists.with_itself()) + len(lists.inside_model())
        if heard:
            found.append(
                f"{heard:,} of {len(trials):,} trials compare an utterance with itself or with a model of it"
            )
    elif lists.utt2spk:
        _, known = lists.same_speaker()
        unchecked = np.flatnonzero(~known)
        if len(unchecked):
            row = unchecked[0]
            side = trials.test[row]
            if side in lists.test_speakers:
                side = trials.enrol[row]
            found.append(
                f"the classes of {len(unchecked):,} of {len(trials):,} trials cannot be checked: utt2spk does not say whose "
                f"'{side}' is (line {row + 1})"
            )
    return [note for note in found if note]


def trial_faults(tables: Tables) -> Iterator[Fault]:
    """Enrolment models of unknown utterances or of two speakers; trials with a side that no list knows, twice, or of another class than the other lists say."""
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
    repeated = list(_repetitions(trials)) if some_pair_again(trials.enrol, trials.test) else []
    yield from repeated
    if trials.classes <= BOTH:
        lines = {fault.line for fault in repeated}
        yield from (
            fault for fault in agreement_faults(lists_in(tables)) if fault.line not in lines
        )


def lists_in(tables: Tables) -> Lists:
    """The trials of a data directory that has some, with what the other lists say of their sides."""
    utt2spk = dict(zip(*tables["utt2spk"], strict=True))
    return Lists(Trials(*tables["trials"]), utt2spk, models_in(tables))


def models_in(tables: Tables) -> dict[str, list[str]]:
    """Enrolment models and their utterances; none where there is no list of them."""
    names, members = tables.get(MODELS, [[], []])
    return dict(zip(names, map(str.split, members), strict=True))


def _model_faults(
    tables: Tables, models: Mapping[str, Sequence[str]], utterances: Collection[str]
) -> Iterator[Fault]:
    """Models of utterances that are not known, or that are of two speakers."""
    unknown = set(chain.from_iterable(models.values())).difference(utterances)
    if unknown:
        for number, members in enumerate(map(str.split, tables[MODELS][1]), start=1):
            for member in (member for member in members if member in unknown):
                yield Fault(
                    MODELS,
                    number,
                    f"utterance '{member}' is not in utt2spk, expected a known one; add it or remove the model",
                )
    yield from models_of_two_speakers(models, dict(zip(*tables["utt2spk"], strict=True)))


def models_of_two_speakers(
    models: Mapping[str, Sequence[str]], utt2spk: Mapping[str, str]
) -> Iterator[Fault]:
    """Models whose utterances are of several speakers."""
    for number, (model, members) in enumerate(models.items(), start=1):
        speakers = {utt2spk.get(member, member): member for member in members}
        known = sorted(speaker for speaker, member in speakers.items() if speaker != member)
        if len(known) > 1:
            yield Fault(
                MODELS,
                number,
                f"model '{model}' has utterances of '{known[0]}' ('{speakers[known[0]]}') and '{known[1]}' ('{speakers[known[1]]}'), "
                "expected those of one speaker; correct the model or utt2spk",
            )


def _side_faults(
    trials: Trials, utterances: Collection[str], others: Collection[str]
) -> Iterator[Fault]:
    """Names that no list has, each once."""
    unknown = set(trials.enrol).difference(utterances, others)
    for number, side in _first_lines(trials.enrol, unknown):
        yield Fault(
            "trials",
            number,
            f"enrolment side '{side}' is not in enroll.spk2utt or utt2spk, expected a model, speaker or utterance; "
            "add it there or remove the trial",
        )
    for number, side in _first_lines(trials.test, set(trials.test).difference(utterances)):
        yield Fault(
            "trials",
            number,
            f"test side '{side}' is not in utt2spk, expected an utterance; add it there or remove the trial",
        )


def _first_lines(names: Sequence[str], wanted: set[str]) -> Iterator[tuple[int, str]]:
    """Line number and name of the first line of each of these names."""
    if wanted:
        for number, name in enumerate(names, start=1):
            if name in wanted:
                wanted.remove(name)
                yield number, name


def _repetitions(trials: Trials) -> Iterator[Fault]:
    """Pairs that stand on several lines."""
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
            f"trial '{' '.join(pair)}' {now}, expected each once (first: {earlier}); remove one of them",
        )
