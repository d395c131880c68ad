"""Assignment of speakers to train, dev and test, so that trials of dev and test can be made."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from local.own.corpus import Corpus
from local.speaker_split import MIN_SPEAKERS, Candidates, split_speakers
from utils.errors import UserError
from utils.trials.enrolment import MODEL, draw_models
from utils.trials.pairs import Sessions

SESSIONS = "utt2session"


@dataclass(frozen=True)
class SplitOptions:
    """How speakers are assigned to sets: shares of dev and test, and the trials to be made of them.

    ``sessions`` and ``enrol_utterances`` (of a model of the test) are options of
    `steps.make_trials`. Without ``for_trials`` corpora too small for trials are accepted too.
    With ``test_only`` nothing is trained: all speakers are for test, or those of the corpus' own.
    """

    dev_share: float
    test_share: float
    seed: int
    sessions: Sessions = "any"
    enrol_utterances: int = 1
    for_trials: bool = True
    test_only: bool = False


def assign_speakers(
    corpus: Corpus, options: SplitOptions, unusable: Collection[str] = ()
) -> tuple[dict[str, list[str]], list[str]]:
    """Speakers of train, dev and test, and lines that explain sizes that may surprise.

    Speakers without a target trial are for training; ``unusable`` utterances do not count.
    UserError: as `split_speakers`, or the trials need sessions that the corpus does not have.
    """
    if options.test_only and not options.for_trials:
        return _assign_to_test(corpus)
    if not options.for_trials:
        return _assign_without_trials(corpus, replace(options, for_trials=True), unusable)
    if options.sessions != "any" and SESSIONS not in corpus.data.maps:
        raise UserError(
            f"{corpus.data.path}: --sessions {options.sessions}, but utterances have no sessions, "
            f"expected a column session, folders between speaker and file, or {SESSIONS}; "
            "add one of these, or give --sessions any"
        )
    testable = _find_testable(corpus, options, unusable)
    if options.test_only:
        if "test" not in corpus.trials:
            _refuse_few_testable(corpus, testable)
        return _assign_to_test(corpus)
    sets = _split(corpus, options, testable)
    return sets, _explain_sizes(corpus, options, sets, testable)


def _assign_to_test(corpus: Corpus) -> tuple[dict[str, list[str]], list[str]]:
    """The speakers of a corpus' own test set, or all; others are left out, with a line."""
    own = [speaker for speaker, name in corpus.spk2set.items() if name == "test"]
    speakers = sorted(own or corpus.spk2sex)
    left_out = len(corpus.spk2sex) - len(speakers)
    lines = []
    if left_out:
        lines = [f"  {left_out:,} speakers are not tested, and nothing is learned from them"]
    return {"test": speakers}, lines


def _refuse_few_testable(corpus: Corpus, testable: Candidates) -> None:
    """Refuse a corpus of which fewer than two speakers have target trials."""
    num_fit = len(testable.speakers["test"])
    if num_fit < MIN_SPEAKERS:
        raise UserError(
            f"{corpus.data.path}: {num_fit} of {len(corpus.spk2sex)} speakers have target trials, "
            f"expected {MIN_SPEAKERS} or more; the others {testable.lack}; {testable.hint}"
        )


def _split(
    corpus: Corpus, options: SplitOptions, testable: Candidates | None = None
) -> dict[str, list[str]]:
    return split_speakers(
        corpus.spk2sex,
        corpus.spk2set,
        options.dev_share,
        options.test_share,
        options.seed,
        testable,
    )


def _assign_without_trials(
    corpus: Corpus, options: SplitOptions, unusable: Collection[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """As `assign_speakers`; corpora too small for trials are accepted, with a line about it."""
    num_speakers = len(corpus.spk2sex)
    if not corpus.spk2set and num_speakers < 3 * MIN_SPEAKERS:
        line = (
            f"  {num_speakers} speakers are too few for train, dev and test ({MIN_SPEAKERS} for "
            "each): all are in train"
        )
        return {"train": sorted(corpus.spk2sex), "dev": [], "test": []}, [line]
    num_testable = len(_find_testable(corpus, options, unusable).speakers["test"])
    if num_testable >= 2 * MIN_SPEAKERS:
        return assign_speakers(corpus, options, unusable)
    line = (
        f"  {num_testable} of {num_speakers} speakers have two utterances: too few for target "
        "trials of dev and test"
    )
    return _split(corpus, options), [line]


def _find_testable(corpus: Corpus, options: SplitOptions, unusable: Collection[str]) -> Candidates:
    """Speakers who can be in dev and test, as they have target trials."""
    spk2utt: dict[str, list[str]] = defaultdict(list)
    for utterance, speaker in corpus.data.utt2spk.items():
        if utterance not in unusable:
            spk2utt[speaker].append(utterance)
    utt2session = corpus.data.maps.get(SESSIONS, {})
    in_dev = _with_targets(spk2utt, utt2session, replace(options, enrol_utterances=1))
    in_test = in_dev
    if options.enrol_utterances > 1:
        in_test = _with_targets(spk2utt, utt2session, options)
    hint = ""
    if len(in_test) < len(corpus.spk2sex):
        hint = _suggest_trials(spk2utt, utt2session, options)
    return Candidates({"dev": in_dev, "test": in_test}, _describe_lack(options), hint)


def _with_targets(
    spk2utt: Mapping[str, list[str]], utt2session: Mapping[str, str], options: SplitOptions
) -> frozenset[str]:
    """Speakers with a target trial, as steps.make_trials draws them."""
    sessions = options.sessions
    if options.enrol_utterances > 1:
        enrol_sessions: int | None = 1
        if sessions == "any":
            enrol_sessions = None
        models, _ = draw_models(
            spk2utt, utt2session, options.enrol_utterances, enrol_sessions, sessions, options.seed
        )
        return frozenset(model.removesuffix(MODEL) for model in models)
    chosen = set()
    for speaker, utterances in spk2utt.items():
        if sessions == "any":
            has_target = len(utterances) > 1
        else:
            num_sessions = len({utt2session[utterance] for utterance in utterances})
            if sessions == "across":
                has_target = num_sessions > 1
            else:
                has_target = num_sessions < len(utterances)
        if has_target:
            chosen.add(speaker)
    return frozenset(chosen)


def _describe_lack(options: SplitOptions) -> str:
    """What speakers without a target trial lack, as a text."""
    if options.enrol_utterances > 1:
        rule = ""
        if options.sessions != "any":
            rule = f" {options.sessions} sessions"
        return f"have too few utterances for a model of {options.enrol_utterances} and a test{rule}"
    lacks = {
        "any": "have one utterance",
        "across": "have one session",
        "within": "have no session of two utterances",
    }
    return lacks[options.sessions]


def _suggest_trials(
    spk2utt: Mapping[str, list[str]], utt2session: Mapping[str, str], options: SplitOptions
) -> str:
    """What to do: options of less demanding trials, with enough speakers for dev and test."""
    fewer = range(options.enrol_utterances - 1, 0, -1)
    weaker: list[tuple[int, Sessions]] = [(number, options.sessions) for number in fewer]
    weaker += [(options.enrol_utterances, "any"), (1, "any")]
    for number, sessions in weaker:
        other = replace(options, enrol_utterances=number, sessions=sessions)
        if other == options or len(_with_targets(spk2utt, utt2session, other)) < 2 * MIN_SPEAKERS:
            continue
        changes = []
        if number != options.enrol_utterances:
            changes.append(f"--enrol-utterances {number}")
        if sessions != options.sessions:
            changes.append(f"--sessions {sessions}")
        return f"give {' '.join(changes)}, or add utterances of them"
    return (
        "add utterances of them, or cut long files into several by a table's columns start and end"
    )


def _explain_sizes(
    corpus: Corpus,
    options: SplitOptions,
    sets: Mapping[str, list[str]],
    testable: Candidates,
) -> list[str]:
    """Lines about speakers that are for training only, and about shares that are not reached."""
    drawn = [name for name in ("dev", "test") if name not in corpus.spk2set.values()]
    if not drawn:
        return []
    total = len(corpus.spk2sex)
    unfit = total - len(testable.speakers[drawn[-1]])
    if not unfit:
        return []
    lines = [f"  {unfit:,} of {total:,} speakers {testable.lack}: they are for training only"]
    shares = {"dev": options.dev_share, "test": options.test_share}
    for name in drawn:
        wanted = max(MIN_SPEAKERS, round(shares[name] * total))
        if len(sets[name]) < wanted:
            lines.append(
                f"  {name} has {len(sets[name]):,} speakers, not the {wanted:,} of --{name}-share "
                f"{shares[name]:g}: too few others are left"
            )
    return lines
