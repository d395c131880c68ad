"""Trials of a stated design: which kinds of pairs, how many of each, and what there was too little of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from utils.trials.enrolment import MODEL, draw_models
from utils.trials.pairs import Pairs, Sessions, Sides, sorted_trials

IMPOSTORS = {"same_sex": "same_group", "cross_sex": "cross_group", "random": "random"}


@dataclass(frozen=True)
class Design:
    """What is wanted."""

    targets_per_speaker: int | None
    impostors: Mapping[str, int]
    sessions: Sessions = "any"
    enrol_utterances: int = 1
    enrol_sessions: int | None = None
    seed: int = 1

    @property
    def has_models(self) -> bool:
        """Whether the enrolment sides are models."""
        return self.enrol_utterances > 1 or self.enrol_sessions is not None


@dataclass
class Trials:
    """What was designed."""

    lines: list[str]
    models: dict[str, list[str]]
    counts: dict[str, dict[str, int]]
    shortages: list[str]


def make_pairs(
    spk2utt: Mapping[str, Sequence[str]],
    spk2sex: Mapping[str, str],
    utt2session: Mapping[str, str],
    design: Design,
) -> Trials:
    """Design the trials of a set."""
    models: dict[str, list[str]] = {}
    tests: Mapping[str, Sequence[str]] = spk2utt
    if design.has_models:
        models, tests = draw_models(
            spk2utt,
            utt2session,
            design.enrol_utterances,
            design.enrol_sessions,
            design.sessions,
            design.seed,
        )
    names = sorted(utterance for utterances in tests.values() for utterance in utterances)
    enrolments = sorted(models) or names
    counts: dict[str, dict[str, int]] = {}
    shortages = []
    if len(tests) < len(spk2utt):
        shortages.append(
            f"{len(spk2utt) - len(tests)} of {len(spk2utt)} speakers have too few utterances for a model and a test"
        )
    if not names:
        return Trials([], models, counts, shortages)
    sides = _sides_of(enrolments, names, models, tests, spk2sex, utt2session)
    # A model's speaker is tested with what the rule allows alone.
    targets = Pairs(sides, "target", "any" if models else design.sessions)
    chosen = [targets.at(_draw_targets(targets, sides, design, counts, shortages))]
    rule = design.sessions if _are_shared(names, tests, utt2session) else "any"
    if rule != design.sessions:
        shortages.append(
            "no session is shared by two speakers: impostor trials are drawn whatever their sessions"
        )
    for kind, per_target in design.impostors.items():
        pairs = Pairs(sides, IMPOSTORS[kind], rule)
        random = np.random.default_rng([design.seed, *kind.encode()])
        wanted = per_target * len(chosen[0][0])
        chosen.append(pairs.at(pairs.draw(wanted, random)))
        counts[kind] = {"wanted": wanted, "there": len(pairs), "drawn": len(chosen[-1][0])}
        if len(pairs) < wanted:
            shortages.append(f"{wanted:,} {kind} impostor trials wanted, there are {len(pairs):,}")
    enrol, test, is_target = sorted_trials(chosen, [True, *[False] * len(design.impostors)])
    lines = [
        f"{enrolments[row]} {names[column]} {'target' if target else 'nontarget'}"
        for row, column, target in zip(
            enrol.tolist(), test.tolist(), is_target.tolist(), strict=True
        )
    ]
    return Trials(lines, models, counts, shortages)


def _sides_of(
    enrolments: Sequence[str],
    names: Sequence[str],
    models: Mapping[str, list[str]],
    tests: Mapping[str, Sequence[str]],
    spk2sex: Mapping[str, str],
    utt2session: Mapping[str, str],
) -> Sides:
    speaker_of = {
        utterance: speaker for speaker, utterances in tests.items() for utterance in utterances
    }

    def labels_of(speakers: list[str], sessions: list[str]) -> dict[str, np.ndarray]:
        sexes = (
            {"group": np.array([spk2sex[speaker] for speaker in speakers], str)} if spk2sex else {}
        )
        return {"speaker": np.array(speakers, str), "session": np.array(sessions, str), **sexes}

    columns = labels_of(
        [speaker_of[name] for name in names], [utt2session.get(name, "") for name in names]
    )
    if not models:
        return Sides(columns, columns, np.arange(1, len(names) + 1))
    rows = labels_of(
        [model.removesuffix(MODEL) for model in enrolments],
        [_session_of(model, models[model], utt2session) for model in enrolments],
    )
    return Sides(rows, columns, np.zeros(len(enrolments), np.int64))


def _session_of(model: str, utterances: Sequence[str], utt2session: Mapping[str, str]) -> str:
    """A model's session where it has one; a name that nobody else has where it has several."""
    found = {utt2session.get(utterance, "") for utterance in utterances}
    return found.pop() if len(found) == 1 else f"several sessions of {model}"


def _draw_targets(
    targets: Pairs, sides: Sides, design: Design, counts: dict, shortages: list[str]
) -> np.ndarray:
    speakers, most = sides.rows["speaker"], design.targets_per_speaker
    number, owner = np.unique(speakers, return_inverse=True)
    there = np.bincount(owner, targets.per_row, len(number)).astype(int)
    if most is None:
        places, wanted = np.arange(len(targets)), len(targets)
    else:
        places = (
            targets.draw_of_each(speakers, most, np.random.default_rng([design.seed, *b"target"]))
            if len(targets)
            else np.arange(0)
        )
        wanted = most * len(number)
    counts["target"] = {"wanted": wanted, "there": len(targets), "drawn": len(places)}
    if most is not None and (there < most).any():
        shortages.append(
            f"{(there < most).sum()} of {len(number)} speakers have fewer than {most} target trials"
        )
    elif (there == 0).any():
        shortages.append(f"{(there == 0).sum()} of {len(number)} speakers have no target trial")
    return places


def _are_shared(
    names: Sequence[str], tests: Mapping[str, Sequence[str]], utt2session: Mapping[str, str]
) -> bool:
    """Whether some session is of two speakers: then it is a condition of recording, which must not tell the classes of trials apart."""
    owner: dict[str, str] = {}
    return not utt2session or any(
        owner.setdefault(utt2session[utterance], speaker) != speaker
        for speaker, utterances in tests.items()
        for utterance in utterances
    )
