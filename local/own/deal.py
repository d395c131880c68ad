"""Who of a corpus of one's own is in train, dev and test, such that the trials that are asked for can be made of dev and test."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from local.own.corpus import Corpus
from local.speaker_split import FEWEST, Candidates, split_speakers
from utils.errors import UserError
from utils.trials.enrolment import MODEL, draw_models
from utils.trials.pairs import Sessions

SESSIONS = "utt2session"


@dataclass(frozen=True)
class Dealing:
    """How speakers are dealt to sets.

    Attributes
    ----------
    dev_share, test_share : float
        Of the speakers.
    seed : int
        Decides who.
    sessions : str
        Of the trials that are made of dev and test: see `steps.make_trials`.
    enrol_utterances : int
        Of a model of the test.
    for_trials : bool
        Whether such trials are to be made at all; if not, corpora too small for them are dealt, too.
    """

    dev_share: float
    test_share: float
    seed: int
    sessions: Sessions = "any"
    enrol_utterances: int = 1
    for_trials: bool = True


def deal_speakers(
    found: Corpus, how: Dealing, unusable: Collection[str] = ()
) -> tuple[dict[str, list[str]], list[str]]:
    """Deal the speakers of a corpus; those of whom no target trial can be made are for training.

    Parameters
    ----------
    found : Corpus
        As read.
    how : Dealing
        What was asked for.
    unusable : collection of str
        Utterances that are left out.

    Returns
    -------
    sets, said : dict of str to list of str, list of str
        train, dev and test -> speakers; lines for whom the numbers surprise.

    Raises
    ------
    UserError
        As `split_speakers`; or the trials ask for sessions of which the corpus says nothing.
    """
    if not how.for_trials:
        return _deal_without_trials(found, replace(how, for_trials=True), unusable)
    if how.sessions != "any" and SESSIONS not in found.data.maps:
        raise UserError(
            f"{found.data.path}: --sessions {how.sessions}, and nothing says which session an utterance is of; expected a column session, "
            f"folders between speaker and file, or {SESSIONS}; add one of these, or give --sessions any"
        )
    testable = _testable(found, how, unusable)
    sets = split_speakers(
        found.spk2sex, found.spk2set, how.dev_share, how.test_share, how.seed, testable
    )
    return sets, _surprises(found, how, sets, testable)


def _deal_without_trials(
    found: Corpus, how: Dealing, unusable: Collection[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """As `deal_speakers`, where corpora too small for trials are taken, too, and said."""
    num_speakers = len(found.spk2sex)
    if not found.spk2set and num_speakers < 3 * FEWEST:
        said = f"  {num_speakers} speakers are too few for train, dev and test ({FEWEST} for each): all are in train"
        return {"train": sorted(found.spk2sex), "dev": [], "test": []}, [said]
    num_testable = len(_testable(found, how, unusable).speakers["test"])
    if num_testable >= 2 * FEWEST:
        return deal_speakers(found, how, unusable)
    sets = split_speakers(found.spk2sex, found.spk2set, how.dev_share, how.test_share, how.seed)
    said = f"  {num_testable} of {num_speakers} speakers have two utterances: too few for target trials of dev and test"
    return sets, [said]


def _testable(found: Corpus, how: Dealing, unusable: Collection[str]) -> Candidates:
    """Speakers of whom dev and test can be made, and what the others lack."""
    spk2utt: dict[str, list[str]] = defaultdict(list)
    for utterance, speaker in found.data.utt2spk.items():
        if utterance not in unusable:
            spk2utt[speaker].append(utterance)
    utt2session = found.data.maps.get(SESSIONS, {})
    in_dev = _with_targets(spk2utt, utt2session, replace(how, enrol_utterances=1))
    in_test = in_dev
    if how.enrol_utterances > 1:
        in_test = _with_targets(spk2utt, utt2session, how)
    hint = ""
    if len(in_test) < len(found.spk2sex):
        hint = _hint(spk2utt, utt2session, how)
    return Candidates({"dev": in_dev, "test": in_test}, _lack(how), hint)


def _with_targets(
    spk2utt: Mapping[str, list[str]], utt2session: Mapping[str, str], how: Dealing
) -> frozenset[str]:
    """Speakers of whom there is a target trial, as steps.make_trials draws them."""
    if how.enrol_utterances > 1:
        enrol_sessions = None if how.sessions == "any" else 1
        models, _ = draw_models(
            spk2utt, utt2session, how.enrol_utterances, enrol_sessions, how.sessions, how.seed
        )
        return frozenset(model.removesuffix(MODEL) for model in models)
    if how.sessions == "any":
        return frozenset(speaker for speaker, keys in spk2utt.items() if len(keys) > 1)
    chosen = set()
    for speaker, keys in spk2utt.items():
        num_sessions = len({utt2session[key] for key in keys})
        if how.sessions == "across" and num_sessions > 1:
            chosen.add(speaker)
        if how.sessions == "within" and num_sessions < len(keys):
            chosen.add(speaker)
    return frozenset(chosen)


def _lack(how: Dealing) -> str:
    """What those have of whom there is no target trial, in words."""
    if how.enrol_utterances > 1:
        rule = "" if how.sessions == "any" else f" {how.sessions} sessions"
        return f"have too few utterances for a model of {how.enrol_utterances} and a test{rule}"
    if how.sessions == "any":
        return "have one utterance"
    return {"across": "have one session", "within": "have no session of two utterances"}[
        how.sessions
    ]


def _hint(spk2utt: Mapping[str, list[str]], utt2session: Mapping[str, str], how: Dealing) -> str:
    """Which option helps: the first of weaker designs that has speakers enough for dev and test."""
    fewer = [(number, how.sessions) for number in range(how.enrol_utterances - 1, 0, -1)]
    weaker = [*fewer, (how.enrol_utterances, "any"), (1, "any")]
    for number, sessions in weaker:
        other = replace(how, enrol_utterances=number, sessions=sessions)
        if other != how and len(_with_targets(spk2utt, utt2session, other)) >= 2 * FEWEST:
            options = [f"--enrol-utterances {number}"] if number != how.enrol_utterances else []
            options += [f"--sessions {sessions}"] if sessions != how.sessions else []
            return f"give {' '.join(options)}, or add utterances of them"
    return (
        "add utterances of them, or cut long files into several by a table's columns start and end"
    )


def _surprises(
    found: Corpus, how: Dealing, sets: Mapping[str, list[str]], testable: Candidates
) -> list[str]:
    """Lines of who can only be trained on, and of shares that could not be met."""
    dealt = [name for name in ("dev", "test") if name not in found.spk2set.values()]
    if not dealt:
        return []
    unfit = len(found.spk2sex) - len(testable.speakers[dealt[-1]])
    if not unfit:
        return []
    lines = [
        f"  {unfit:,} of {len(found.spk2sex):,} speakers {testable.lack}: they are trained on, and in neither dev nor test"
    ]
    for name in dealt:
        share = how.dev_share if name == "dev" else how.test_share
        wanted = max(FEWEST, round(share * len(found.spk2sex)))
        if len(sets[name]) < wanted:
            lines.append(
                f"  {name} has {len(sets[name]):,} speakers, not the {wanted:,} of --{name}-share {share:g}: so few of the others are left"
            )
    return lines
