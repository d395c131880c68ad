"""Who is in train, dev and test: no speaker in two of them, sexes in proportion."""

from collections.abc import Mapping

from local.trial_design import stratified_order
from utils.errors import UserError

FEWEST = 2  # speakers of a set: one has no impostors


def split_speakers(
    spk2sex: Mapping[str, str],
    spk2set: Mapping[str, str],
    dev_share: float,
    test_share: float,
    seed: int,
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
    for name, share in (("test", test_share), ("dev", dev_share)):
        if name in spk2set.values():
            continue
        free = [speaker for speaker in spk2sex if speaker not in chosen] or [
            speaker for speaker in spk2sex if chosen[speaker] == "train"
        ]
        order = stratified_order({speaker: spk2sex[speaker] for speaker in free}, seed)
        number = min(max(FEWEST, round(share * len(spk2sex))), len(order))
        chosen |= {order[place * len(order) // number]: name for place in range(number)}
    sets = {
        name: sorted(speaker for speaker in spk2sex if chosen.get(speaker, "train") == name)
        for name in ("train", "dev", "test")
    }
    few = [name for name, speakers in sets.items() if len(speakers) < FEWEST]
    if few:
        raise UserError(
            f"{len(spk2sex)} speakers leave {', '.join(f'{len(speakers)} for {name}' for name, speakers in sets.items())}, expected "
            f"{FEWEST} or more for each; add speakers, or change the shares or the column of sets"
        )
    return sets
