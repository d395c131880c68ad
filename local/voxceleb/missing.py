"""Parts of VoxCeleb beside the published counts, and lists of what is missing."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from local.corpus import first_few, write_listing
from local.voxceleb.meta import COUNTS, Speakers
from local.voxceleb.trees import TITLES, Utterances, archives_in
from utils.errors import UserError

SHOWN = 10  # missing names in a message; all of them are written


def report_part(
    listed_files: Utterances, corpus: str, part: str, speakers: Speakers, output: Path
) -> tuple[str, str]:
    """Compare ``dev`` or ``test`` of a corpus with the published counts.

    Returns a line with both, and what is missing (empty: nothing). Writes the ids of missing
    speakers, where they are known, to ``missing/<corpus>_<part>``.
    """
    published, utterances = COUNTS[corpus, part], listed_files.in_part(part)
    present = {utterance[:7] for utterance in utterances}
    line = (
        f"{TITLES[corpus]} {part}: {len(present):,} of {published.speakers:,} speakers, "
        f"{len(utterances):,} of {published.utterances:,} utterances"
    )
    absent = [speaker for speaker in speakers.known(corpus, part) if speaker not in present]
    listed = write_missing(output / "missing" / f"{corpus}_{part}", absent, "speakers")
    if len(present) >= published.speakers and len(utterances) >= published.utterances:
        return line, ""
    complaint = line
    if listed:
        complaint += f"; {listed}"
    archives = archives_in(listed_files.root)
    if archives:
        complaint += (
            f"; beside it are the archives {', '.join(archives[:3])}: are they fully extracted?"
        )
    return line, complaint


def write_missing(path: Path, missing: Sequence[str], kind: str) -> str:
    """Write names of missing ids or files; their number and the first of them (empty: none)."""
    write_listing(path, missing)
    if not missing:
        return ""
    return f"{len(missing):,} {kind} are missing: {first_few(missing, SHOWN)} (all: {path})"


def refuse_incomplete(complaints: Iterable[str], allow_incomplete: bool) -> None:
    """Raise UserError with the complaints, or print them if that is allowed."""
    complaints = [complaint for complaint in complaints if complaint]
    if not complaints:
        return
    if allow_incomplete:
        for complaint in complaints:
            print(f"incomplete: {complaint}")
        return
    first, *others = complaints
    more = ""
    if others:
        more = f" (and {len(others)} more: {'; '.join(others)})"
    raise UserError(
        f"incomplete: {first}{more}; extract or fetch the rest, or give --allow-incomplete, with "
        "which trials of missing files are lost and every result says so"
    )
