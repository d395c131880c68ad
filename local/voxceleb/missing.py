"""What of VoxCeleb is there, beside what was published, and what is missing, by name as far as lists tell."""

from collections.abc import Collection, Iterable
from pathlib import Path

from local.voxceleb.meta import COUNTS, Speakers
from local.voxceleb.trees import TITLES, Utterances, archives_in
from utils.errors import UserError
from utils.files import atomic_write

SHOWN = 10  # of what is missing, in the log; all of it is written down


def report_part(
    found: Utterances, corpus: str, part: str, speakers: Speakers, output: Path
) -> tuple[str, str]:
    """Compare one part with the published counts.

    Parameters
    ----------
    found : Utterances
        From `local.voxceleb.trees.find_utterances`.
    corpus, part : str
        ``voxceleb1`` or ``voxceleb2``; ``dev`` or ``test``.
    speakers : Speakers
        What is known of them.
    output : path
        Gets ``missing/<corpus>_<part>``, the ids of the speakers that are missing, where they are known.

    Returns
    -------
    line : str
        Counts, the published ones beside them.
    complaint : str
        What is missing; empty where nothing is.
    """
    published, utterances = COUNTS[corpus, part], found.of_part(part)
    there = {utterance[:7] for utterance in utterances}
    line = f"{TITLES[corpus]} {part}: {len(there):,} of {published.speakers:,} speakers, {len(utterances):,} of {published.utterances:,} utterances"
    absent = [speaker for speaker in speakers.known(corpus, part) if speaker not in there]
    listed = write_missing(output / "missing" / f"{corpus}_{part}", absent, "speakers")
    if len(there) >= published.speakers and len(utterances) >= published.utterances:
        return line, ""
    archives = archives_in(found.root)
    hint = (
        f"; beside it lie the archives {', '.join(archives[:3])}: extracted whole?"
        if archives
        else ""
    )
    return line, f"{line}{'; ' + listed if listed else ''}{hint}"


def write_missing(path: Path, missing: Collection[str], what: str) -> str:
    """Write down what is missing.

    Parameters
    ----------
    path : path
        Where to; removed if nothing is missing.
    missing : collection of str
        Ids or files.
    what : str
        What these are, in the plural.

    Returns
    -------
    str
        How many, the first of them, and the path; empty if nothing is missing.
    """
    if not missing:
        path.unlink(missing_ok=True)
        return ""
    with atomic_write(path) as file:
        file.writelines(f"{name}\n" for name in missing)
    return f"{len(missing):,} {what} are missing: {', '.join(list(missing)[:SHOWN])}{', ...' if len(missing) > SHOWN else ''} (all: {path})"


def refuse_incomplete(complaints: Iterable[str], allow_incomplete: bool) -> None:
    """Print what is missing, and stop there unless that is allowed.

    Parameters
    ----------
    complaints : iterable of str
        Empty ones are passed over.
    allow_incomplete : bool
        Go on.

    Raises
    ------
    UserError
        Something is missing.
    """
    complaints = [complaint for complaint in complaints if complaint]
    if complaints and not allow_incomplete:
        more = (
            f" (and {len(complaints) - 1} more: {'; '.join(complaints[1:])})"
            if complaints[1:]
            else ""
        )
        raise UserError(
            f"incomplete: {complaints[0]}{more}; extract or fetch the rest, or give --allow-incomplete, with which trials of missing "
            "files are lost and every result says so"
        )
    for complaint in complaints:
        print(f"incomplete: {complaint}")
