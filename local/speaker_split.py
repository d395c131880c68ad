"""Who is in train, dev and test: no speaker in two of them, sexes in proportion."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from local.trial_design import stratified_order
from utils.errors import UserError

FEWEST = 2  # speakers of a set: one has no impostors


@dataclass(frozen=True)
class Candidates:
    """Whom the trials that are asked for can test; the others are for training.

    Attributes
    ----------
    speakers : mapping of str to collection of str
        dev and test -> speakers that may be in it.
    lack : str
        Why the others may not, as ``have one utterance``.
    hint : str
        What to do where too few may.
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
    """Deal speakers to the sets.

    A set that the corpus names keeps exactly its speakers.  The others are drawn from speakers of no set, or from train where all have one.

    Parameters
    ----------
    spk2sex : mapping of str to str
        Speaker -> sex, ``unknown`` included.
    spk2set : mapping of str to str
        Speakers whose set is given.
    dev_share, test_share : float
        Of all speakers, for sets that are not given; at least two each.
    seed : int
        Decides who.
    testable : Candidates or None
        Who may be dealt to dev and test; None: everybody.  Where they are too few for both shares, each gets its part of them.

    Returns
    -------
    dict of str to list of str
        train, dev and test -> speakers in byte order.

    Raises
    ------
    UserError
        A share makes no sense, or a set would have fewer than two speakers.
    """
    for option, share in (("--dev-share", dev_share), ("--test-share", test_share)):
        if not 0 < share < 1:
            raise UserError(
                f"{option} is {share}, expected a number between 0 and 1, for example 0.1"
            )
    if dev_share + test_share >= 1:
        raise UserError(
            f"--dev-share {dev_share} and --test-share {test_share} leave nobody to train on; expected less than 1 together"
        )
    chosen = dict(spk2set)
    shares = {"test": test_share, "dev": dev_share}
    open_sets = [name for name in shares if name not in spk2set.values()]
    wanted = {name: max(FEWEST, round(shares[name] * len(spk2sex))) for name in open_sets}
    for place, name in enumerate(open_sets):
        free = [speaker for speaker in spk2sex if speaker not in chosen] or [
            speaker for speaker in spk2sex if chosen[speaker] == "train"
        ]
        fit = free if testable is None else [who for who in free if who in testable.speakers[name]]
        number = wanted[name]
        if testable and len(fit) < len(free):
            number = _part_of_few(free, open_sets[place:], wanted, testable)
        order = stratified_order({speaker: spk2sex[speaker] for speaker in fit}, seed)
        number = min(number, len(order))
        chosen |= {order[place * len(order) // number]: name for place in range(number)}
    sets = {
        name: sorted(speaker for speaker in spk2sex if chosen.get(speaker, "train") == name)
        for name in ("train", "dev", "test")
    }
    if testable:
        _refuse_few_candidates(spk2sex, sets, open_sets, testable)
    few = [name for name, speakers in sets.items() if len(speakers) < FEWEST]
    if few:
        raise UserError(
            f"{len(spk2sex)} speakers leave {', '.join(f'{len(speakers)} for {name}' for name, speakers in sets.items())}, expected "
            f"{FEWEST} or more for each; add speakers, or change the shares or the column of sets"
        )
    return sets


def _part_of_few(
    free: Collection[str], open_sets: list[str], wanted: Mapping[str, int], testable: Candidates
) -> int:
    """How many the first of some sets gets where not everybody may be in it: what it wants, or its part of those who may."""
    name = open_sets[0]
    may = {who for who in free if any(who in testable.speakers[each] for each in open_sets)}
    of_all = sum(wanted[each] for each in open_sets)
    if of_all <= len(may):
        return wanted[name]
    most = len(may) - FEWEST * (len(open_sets) - 1)
    return max(FEWEST, min(most, len(may) * wanted[name] // of_all))


def _refuse_few_candidates(
    spk2sex: Mapping[str, str],
    sets: Mapping[str, list[str]],
    open_sets: list[str],
    testable: Candidates,
) -> None:
    """Refuse a dev or a test of fewer than two where that is for want of speakers who can be tested."""
    for name in open_sets:
        unfit = len(spk2sex) - len(testable.speakers[name])
        if unfit and len(sets[name]) < FEWEST:
            others = f"{len(spk2sex) - unfit} of {len(spk2sex)} speakers can be in dev and test"
            raise UserError(
                f"{others}, expected {FEWEST} or more for each; {unfit} {testable.lack}, and are only trained on; {testable.hint}"
            )
