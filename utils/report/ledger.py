"""The report's section on utterances: at each stage, how many came in, how many were kept, and why the others were not; and in all."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from utils.data_dir.ledger import FOUND, POLICY, UNREADABLE, read_counts, read_dropped
from utils.packed.facts import of_one_cut
from utils.receipts import existing_receipt
from utils.report.page import Section
from utils.report.render import render

# counts of a ledger that are no utterances
BESIDE = ("lost_trials", "pieces:", "texts_without_recording", *FOUND)
SOURCES = "noise and rooms"  # what is not spoken: it has no VAD decisions
ORDER = ("corpus", "prepared", SOURCES, "vad")  # then the folders of packed audio, then
EMBEDDED = "embedded"
WORDS = {
    UNREADABLE: "unreadable",
    POLICY + "short": "too short",
    POLICY + "little_speech": "with too little speech",
    POLICY + "silent": "silent",
    POLICY + "sample_rate": "of too low a sample rate",
}


def phrase(counts: Mapping[str, int], min_seconds: float = 0.0) -> str:
    """A ledger in one line: ``utterances: 1,500 in = 1,498 kept + 2 dropped (2 unreadable)``.

    Parameters
    ----------
    counts : mapping of str to int
        Of ``ledger.json``: ``came_in``, ``went_on``, and reasons.
    min_seconds : float
        What is too short, where it is known.
    """
    words = dict(WORDS)
    if min_seconds:
        words[POLICY + "short"] = f"shorter than {min_seconds:g} s"
    beside = {name: number for name, number in counts.items() if name.startswith(BESIDE)}
    reasons = {
        name: number
        for name, number in counts.items()
        if name not in ("came_in", "went_on", *beside) and number
    }
    dropped = counts["came_in"] - counts["went_on"]
    told = (
        f"utterances: {counts['came_in']:,} in = {counts['went_on']:,} kept + {dropped:,} dropped"
    )
    if reasons:
        told += f" ({_listed(reasons, words)})"
    if beside:
        told += f"; {_listed(beside, words)}"
    return told


def _listed(counts: Mapping[str, int], words: Mapping[str, str]) -> str:
    """Counts with their words: ``2 too short, 1 unreadable``."""
    return ", ".join(
        f"{number:,} {words.get(name, name.replace('_', ' '))}"
        for name, number in sorted(counts.items(), reverse=True)
    )


def ledger_files(data: Path, packed: Path | None = None) -> list[Path]:
    """The ledgers below a folder.

    Parameters
    ----------
    data : path
        Folder of data directories.
    packed : path or None
        The one folder of packed audio among several that counts; None: all do.
    """
    return of_one_cut(sorted(data.rglob("ledger.json")), packed)


def stages_of(
    paths: list[Path], data: Path, experiment: Path | None = None
) -> dict[str, dict[str, Counter]]:
    """Stage -> set -> counts, in the order of the work.

    Parameters
    ----------
    paths : list of path
        Ledgers: of ``<set>``, ``<set>/vad`` and ``<folder>/<set>``.
    data : path
        Folder that they lie below.
    experiment : path or None
        Whose embeddings are counted: an utterance is embedded, or the extraction ends with an error.
    """
    stages: dict[str, dict[str, Counter]] = {}
    for path in paths:
        *above, last = path.parent.relative_to(data).parts or (data.name,)
        is_set = (path.parent / "utt2spk").exists()
        stage, name = last, "/".join(above)
        if is_set or not above:
            stage, name = "/".join(above) or "prepared", last
        if stage == "prepared" and not (path.parent / "vad").exists():
            stage = SOURCES if is_set else "corpus"
        stages.setdefault(stage, {})[name] = read_counts(path)
    embedded = "embeddings/*/receipts/collect_embeddings.json"
    for path in sorted(experiment.glob(embedded)) if experiment else []:
        if not any(path.parent.glob("extract.*.json")):
            continue  # chosen out of another set's, where they are counted
        number = existing_receipt(path)["counts"]["utterances"]
        counts = Counter(came_in=number, went_on=number)
        stages.setdefault(EMBEDDED, {})[path.parents[1].name] = counts
    place = {stage: number for number, stage in enumerate(ORDER)}
    return dict(
        sorted(
            stages.items(),
            key=lambda item: (item[0] == EMBEDDED, place.get(item[0], len(ORDER)), item[0]),
        )
    )


def total_of(paths: list[Path], data: Path) -> Counter:
    """Of the recordings of speech: how many there were, how many were packed, and why the others were not, each counted once.

    Parameters
    ----------
    paths, data : list of path and path
        As of `stages_of`.
    """
    total: Counter[str] = Counter()
    for prepared in sorted({path.parents[1] for path in paths if path.parent.name == "vad"}):
        mine = [
            path
            for path in paths
            if path.parent.name == prepared.name or prepared.name == path.parent.parent.name
        ]
        mine = [path for path in mine if not is_remade(path.parent)]
        mine.sort(key=lambda path: (path.parent != prepared, path.parent.parent != prepared))
        fates: dict[str, str] = {}
        for ledger in reversed(mine):  # the first stage that lost an utterance says why
            fates |= {
                utterance: reason
                for utterance, reason, _ in read_dropped(ledger.parent / "dropped")
            }
        came_in = read_counts(mine[0])["came_in"]
        total.update(
            {"came_in": came_in, "went_on": came_in - len(fates), **Counter(fates.values())}
        )
    if data / "ledger.json" in paths:  # of the corpus, before it was dealt out to the sets
        corpus = read_counts(data / "ledger.json")
        lost = corpus["came_in"] - corpus["went_on"]
        total.update(
            {
                name: number
                for name, number in corpus.items()
                if name not in ("came_in", "went_on") and not name.startswith(BESIDE)
            }
        )
        total["came_in"] += lost
    return total


def is_remade(folder: Path) -> bool:
    """True of a folder whose utterances are not those that were packed: augmented copies, and what was drawn for trials.

    Parameters
    ----------
    folder : path
        With a ledger.
    """
    return (folder / "utt2uniq").exists() or not (folder / "dropped").exists()


def shortest(data: Path, paths: list[Path]) -> float:
    """The seconds that an utterance had to have to be packed, where all receipts of the packing say the same; else 0.

    Parameters
    ----------
    data, paths : path and list of path
        As of `stages_of`.
    """
    receipts = [
        receipt
        for path in paths
        if path.parent.parent != data
        for receipt in sorted(path.parent.glob("receipts/pack_audio*.json"))
    ]
    limits = {existing_receipt(receipt)["options"].get("min_seconds", 0.0) for receipt in receipts}
    return limits.pop() if len(limits) == 1 else 0.0


def ledger_lines(
    data: Path, packed: Path | None = None, experiment: Path | None = None
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Stage, its sum in words, and the words of each of its sets; first of all stages together, under the name "".

    Parameters
    ----------
    data, packed, experiment : path
        As of `ledger_files` and `stages_of`.
    """
    paths = ledger_files(data, packed)
    limit = shortest(data, paths)
    total = total_of(paths, data)
    if total:
        yield "", phrase(total, limit), {}
    for stage, sets in stages_of(paths, data, experiment).items():
        yield (
            stage,
            phrase(sum_of(sets), limit),
            {name: phrase(counts, limit) for name, counts in sets.items()},
        )


def sum_of(sets: Mapping[str, Counter]) -> Counter:
    """Counts of several sets together.

    Parameters
    ----------
    sets : mapping of str to Counter
        Set -> counts.
    """
    total: Counter[str] = Counter()
    for counts in sets.values():
        total.update(counts)
    return total


def ledger_text(data: Path, packed: Path | None = None, experiment: Path | None = None) -> str:
    """All stages together and each stage, for the end of a run; empty where there is no ledger.

    Parameters
    ----------
    data, packed, experiment : path
        As of `ledger_lines`.
    """
    lines = ledger_lines(data, packed, experiment)
    return "\n".join(
        f"   {stage}: {words.removeprefix('utterances: ')}" if stage else words
        for stage, words, _ in lines
    )


def ledger_section(
    data: Path, packed: Path | None = None, experiment: Path | None = None
) -> Section | None:
    """What each step that can drop utterances did with them, stage by stage; None where there is no ledger.

    Parameters
    ----------
    data, packed, experiment : path
        As of `ledger_lines`.
    """
    stages = list(ledger_lines(data, packed, experiment))
    if not stages:
        return None
    return Section("Utterances", render("ledger.html", stages=stages))
