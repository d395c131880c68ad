"""Trials of a given design: which kinds of pairs, how many of each, and shortages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from utils.data_dir.trial_list import class_name
from utils.trials.enrolment import MODEL, draw_models
from utils.trials.pairs import Pairs, Sessions, Sides, sorted_trials

IMPOSTORS = {"same_sex": "same_group", "cross_sex": "cross_group", "random": "random"}


@dataclass(frozen=True)
class Design:
    """The wanted trials.

    ``targets_per_speaker``: target trials of each speaker at most; None: all.
    ``impostors``: ``same_sex``, ``cross_sex``, ``random`` -> nontarget trials per target trial.
    ``sessions``: ``any``, ``within`` one session, or ``across`` two.
    ``enrol_utterances``: 1: utterances are compared with utterances; more: models of that many.
    ``enrol_sessions``: number of sessions of a model's utterances; None: any.
    ``seed``: of all draws.
    """

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
    """The drawn trials.

    ``lines``: ``<enrol> <test> target|nontarget`` in byte order.  ``models``: enrolment models and
    their utterances.  ``counts``: kind -> numbers ``wanted``, ``there`` (pairs of that kind) and
    ``drawn``.  ``shortages``: a sentence for each kind with too few.
    """

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
    """Draw the trials of a set: of no kind more than there are, none twice.

    ``spk2sex`` may be empty if no kind of impostors needs it, and ``utt2session`` if the design has
    no sessions.
    """
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
    speakers = {name: speaker for speaker, members in tests.items() for name in members}
    names = sorted(speakers)
    enrolments = sorted(models) or names
    trials = Trials([], models, {}, [])
    if len(tests) < len(spk2utt):
        trials.shortages.append(
            f"{len(spk2utt) - len(tests)} of {len(spk2utt)} speakers have too few utterances "
            "for a model and a test"
        )
    if not names:
        return trials
    columns = _labels([speakers[name] for name in names], names, spk2sex, utt2session)
    sides = Sides(columns, columns, np.arange(1, len(names) + 1))
    if models:
        sessions = _model_sessions(models, utt2session)
        owners = [model.removesuffix(MODEL) for model in enrolments]
        rows = _labels(owners, enrolments, spk2sex, sessions)
        sides = Sides(rows, columns, np.zeros(len(enrolments), np.int64))
    are_shared = _share_sessions(speakers, utt2session)
    enrol, test, is_target = _draw_trials(sides, trials, design, are_shared)
    for row, column, target in zip(enrol.tolist(), test.tolist(), is_target.tolist(), strict=True):
        trials.lines.append(f"{enrolments[row]} {names[column]} {class_name(target)}")
    return trials


def _draw_trials(
    sides: Sides, trials: Trials, design: Design, sessions_are_shared: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw target and nontarget trials: rows, columns, is_target.  Fills counts and shortages."""
    # `draw_models` has applied the rule of sessions to the tests of a model's own speaker
    targets = Pairs(sides, "target", "any" if trials.models else design.sessions)
    groups = [targets.at(_draw_targets(targets, sides, design, trials))]
    num_targets = len(groups[0][0])
    rule = design.sessions
    if rule != "any" and not sessions_are_shared:
        rule = "any"
        trials.shortages.append(
            "no session is shared by two speakers: "
            "nontarget trials are drawn whatever their sessions"
        )
    for kind, per_target in design.impostors.items():
        pairs = Pairs(sides, IMPOSTORS[kind], rule)
        random = np.random.default_rng([design.seed, *kind.encode()])
        wanted = per_target * num_targets
        groups.append(pairs.at(pairs.draw(wanted, random)))
        drawn = len(groups[-1][0])
        trials.counts[kind] = {"wanted": wanted, "there": len(pairs), "drawn": drawn}
        if len(pairs) < wanted:
            trials.shortages.append(
                f"only {len(pairs):,} {kind} nontarget trials exist, {wanted:,} were asked for"
            )
    return sorted_trials(groups, [True, *[False] * len(design.impostors)])


def _labels(
    speakers: list[str],
    names: Sequence[str],
    spk2sex: Mapping[str, str],
    sessions: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """Speaker, session and, if they are known, sex of each name."""
    labels = {
        "speaker": np.array(speakers, str),
        "session": np.array([sessions.get(name, "") for name in names], str),
    }
    if spk2sex:
        labels["group"] = np.array([spk2sex[speaker] for speaker in speakers], str)
    return labels


def _model_sessions(
    models: Mapping[str, Sequence[str]], utt2session: Mapping[str, str]
) -> dict[str, str]:
    """Session of each model; one with several gets a name that no other model has."""
    sessions = {}
    for model, utterances in models.items():
        names = {utt2session.get(utterance, "") for utterance in utterances}
        sessions[model] = names.pop() if len(names) == 1 else f"several sessions of {model}"
    return sessions


def _draw_targets(targets: Pairs, sides: Sides, design: Design, trials: Trials) -> np.ndarray:
    """Numbers of the target pairs; fills counts and shortages."""
    owners, most = sides.rows["speaker"], design.targets_per_speaker
    speakers, owner = np.unique(owners, return_inverse=True)
    per_speaker = np.bincount(owner, targets.per_row, len(speakers)).astype(int)
    drawn, wanted = np.arange(len(targets)), len(targets)
    if most is not None:
        wanted = most * len(speakers)
        if len(targets):
            random = np.random.default_rng([design.seed, *b"target"])
            drawn = targets.draw_of_each(owners, most, random)
    trials.counts["target"] = {"wanted": wanted, "there": len(targets), "drawn": len(drawn)}
    if most is not None and (per_speaker < most).any():
        trials.shortages.append(
            f"{(per_speaker < most).sum()} of {len(speakers)} speakers "
            f"have fewer than {most} target trials"
        )
    elif (per_speaker == 0).any():
        trials.shortages.append(
            f"{(per_speaker == 0).sum()} of {len(speakers)} speakers have no target trial"
        )
    return drawn


def _share_sessions(speakers: Mapping[str, str], utt2session: Mapping[str, str]) -> bool:
    """Whether two speakers share a session: then it must not reveal the class of a trial."""
    if not utt2session:
        return True
    owners: dict[str, str] = {}
    for utterance, speaker in speakers.items():
        if owners.setdefault(utt2session[utterance], speaker) != speaker:
            return True
    return False
