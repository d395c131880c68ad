"""Division of speakers into train, dev and test, with the sexes in proportion."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from local.trial_design import stratified_order
from utils.errors import UserError

MIN_SPEAKERS = 2  # of a set: one speaker has no nontarget trials


@dataclass(frozen=True)
class Candidates:
    """Speakers that dev and test may have; the others are for training.

    ``speakers`` has those of ``dev`` and ``test``; ``lack`` says why the others may not be in
    them (``have one utterance``), ``hint`` what to do if there are too few.
    """

    speakers: Mapping[str, Collection[str]]
    lack: str
    hint: str


def split_speakers(
    spk2sex: Mapping[str, str],
    spk2set: Mapping[str, str],
    dev_share: float,
    test_share: float,
    seed: int,
    testable: Candidates | None = None,
) -> dict[str, list[str]]:
    """Speakers of train, dev and test, in byte order.

    A set that ``spk2set`` names keeps exactly its speakers. The others are drawn from the speakers
    without a set, or from train if all have one. Where ``testable`` are too few for both shares,
    each set gets its part of them. UserError: a wrong share, or a set with fewer than two speakers.
    """
    _check_shares(dev_share, test_share)
    spk2set = dict(spk2set)
    shares = {"test": test_share, "dev": dev_share}
    open_sets = [name for name in shares if name not in spk2set.values()]
    wanted = {name: max(MIN_SPEAKERS, round(shares[name] * len(spk2sex))) for name in open_sets}
    for index, name in enumerate(open_sets):
        free = _free_speakers(spk2sex, spk2set)
        fit = free
        number = wanted[name]
        if testable:
            fit = [speaker for speaker in free if speaker in testable.speakers[name]]
            if len(fit) < len(free):
                number = _share_of_few(free, open_sets[index:], wanted, testable)
        order = stratified_order({speaker: spk2sex[speaker] for speaker in fit}, seed)
        number = min(number, len(order))
        for draw in range(number):
            spk2set[order[draw * len(order) // number]] = name
    sets: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for speaker in sorted(spk2sex):
        sets[spk2set.get(speaker, "train")].append(speaker)
    if testable:
        _refuse_few_candidates(spk2sex, sets, open_sets, testable)
    _refuse_small_sets(sets, len(spk2sex))
    return sets


def _check_shares(dev_share: float, test_share: float) -> None:
    for option, share in (("--dev-share", dev_share), ("--test-share", test_share)):
        if not 0 < share < 1:
            raise UserError(
                f"{option} is {share}, expected a number between 0 and 1, for example 0.1"
            )
    if dev_share + test_share >= 1:
        raise UserError(
            f"--dev-share {dev_share} and --test-share {test_share} leave nobody to train on, "
            "expected a sum below 1; lower one"
        )


def _free_speakers(spk2sex: Mapping[str, str], spk2set: Mapping[str, str]) -> list[str]:
    """Speakers without a set; those of train if all have one."""
    free = [speaker for speaker in spk2sex if speaker not in spk2set]
    if free:
        return free
    return [speaker for speaker in spk2sex if spk2set[speaker] == "train"]


def _share_of_few(
    free: Collection[str], open_sets: list[str], wanted: Mapping[str, int], testable: Candidates
) -> int:
    """How many speakers the first open set gets: what it wants, or its part of the candidates."""
    name = open_sets[0]
    candidates: set[str] = set()
    for each in open_sets:
        candidates.update(testable.speakers[each])
    num_candidates = len(candidates.intersection(free))
    num_wanted = sum(wanted[each] for each in open_sets)
    if num_wanted <= num_candidates:
        return wanted[name]
    most = num_candidates - MIN_SPEAKERS * (len(open_sets) - 1)
    return max(MIN_SPEAKERS, min(most, num_candidates * wanted[name] // num_wanted))


def _refuse_few_candidates(
    spk2sex: Mapping[str, str],
    sets: Mapping[str, list[str]],
    open_sets: list[str],
    testable: Candidates,
) -> None:
    """Refuse a dev or test of fewer than two speakers if there are too few candidates."""
    for name in open_sets:
        fit = len(testable.speakers[name])
        unfit = len(spk2sex) - fit
        if unfit and len(sets[name]) < MIN_SPEAKERS:
            raise UserError(
                f"{fit} of {len(spk2sex)} speakers can be in dev and test, expected "
                f"{MIN_SPEAKERS} or more for each; {unfit} {testable.lack} and are for training "
                f"only; {testable.hint}"
            )


def _refuse_small_sets(sets: Mapping[str, list[str]], num_speakers: int) -> None:
    if all(len(speakers) >= MIN_SPEAKERS for speakers in sets.values()):
        return
    sizes = ", ".join(f"{len(speakers)} for {name}" for name, speakers in sets.items())
    raise UserError(
        f"{num_speakers} speakers leave {sizes}, expected {MIN_SPEAKERS} or more for each; "
        "add speakers, or change the shares or the column of sets"
    )
