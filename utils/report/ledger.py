"""The report's section on utterances: how many each stage received, kept and dropped, and why."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from utils.data_dir.ledger import FOUND, POLICY, UNREADABLE, read_counts, read_dropped
from utils.packed.facts import exclude_other_packed
from utils.receipts import existing_receipt
from utils.report.page import Section
from utils.report.render import render

TOTALS = ("came_in", "went_on")
# prefixes of counts that aren't numbers of utterances
OTHER_COUNTS = ("lost_trials", "pieces:", "texts_without_recording", *FOUND)
SOURCES = "noise and rooms"  # not speech, so without VAD decisions
FIRST_STAGES = ("corpus", "prepared", SOURCES, "vad")  # the folders of packed audio follow
EMBEDDED = "embedded"
REASONS = {
    UNREADABLE: "unreadable",
    POLICY + "short": "too short",
    POLICY + "little_speech": "with too little speech",
    POLICY + "silent": "silent",
    POLICY + "sample_rate": "of too low a sample rate",
}


def describe_counts(counts: Mapping[str, int], min_seconds: float = 0.0) -> str:
    """A ledger in one line: ``utterances: 1,500 in = 1,498 kept + 2 dropped (2 unreadable)``.

    ``min_seconds`` is the shortest utterance that was kept; 0 if it isn't known.
    """
    words = dict(REASONS)
    if min_seconds:
        words[POLICY + "short"] = f"shorter than {min_seconds:g} s"
    reasons, others = {}, {}
    for name, number in counts.items():
        if name.startswith(OTHER_COUNTS):
            others[name] = number
        elif name not in TOTALS and number:
            reasons[name] = number
    dropped = counts["came_in"] - counts["went_on"]
    text = (
        f"utterances: {counts['came_in']:,} in = {counts['went_on']:,} kept + {dropped:,} dropped"
    )
    if reasons:
        text += f" ({_list_counts(reasons, words)})"
    if others:
        text += f"; {_list_counts(others, words)}"
    return text


def _list_counts(counts: Mapping[str, int], words: Mapping[str, str]) -> str:
    """Counts with their words: ``2 too short, 1 unreadable``."""
    parts = []
    for name, number in sorted(counts.items(), reverse=True):
        parts.append(f"{number:,} {words.get(name, name.replace('_', ' '))}")
    return ", ".join(parts)


def ledger_files(data: Path, packed: Path | None = None) -> list[Path]:
    """The ledgers below a folder; of several folders of packed audio those of ``packed`` only."""
    return exclude_other_packed(sorted(data.rglob("ledger.json")), packed)


def _count_by_stage(
    paths: list[Path], data: Path, experiment: Path | None = None
) -> dict[str, dict[str, Counter]]:
    """Stage -> set -> counts, in the order of processing.

    Ledgers below ``data`` are in ``<set>``, ``<set>/vad`` and ``<folder>/<set>``.
    """
    stages: dict[str, dict[str, Counter]] = {}
    for path in paths:
        stage, name = _stage_and_set(path.parent, data)
        stages.setdefault(stage, {})[name] = read_counts(path)
    if experiment:
        embedded = _count_embedded(experiment)
        if embedded:
            stages[EMBEDDED] = embedded
    return dict(sorted(stages.items(), key=lambda item: _stage_order(item[0])))


def _stage_and_set(folder: Path, data: Path) -> tuple[str, str]:
    """The stage and the set whose ledger is in a folder."""
    *parents, last = folder.relative_to(data).parts or (data.name,)
    parent = "/".join(parents)
    is_set = (folder / "utt2spk").exists()
    stage, name = last, parent
    if is_set or not parents:
        stage, name = parent or "prepared", last
    if stage == "prepared" and not (folder / "vad").exists():
        stage = SOURCES if is_set else "corpus"
    return stage, name


def _stage_order(stage: str) -> tuple[bool, int, str]:
    """Sort key of stages: the first ones, packed audio by name, embeddings."""
    index = len(FIRST_STAGES)
    if stage in FIRST_STAGES:
        index = FIRST_STAGES.index(stage)
    return stage == EMBEDDED, index, stage


def _count_embedded(experiment: Path) -> dict[str, Counter]:
    """Set -> number of embeddings; none is dropped, since extraction fails instead."""
    counts = {}
    for path in sorted(experiment.glob("embeddings/*/receipts/collect_embeddings.json")):
        # without extraction: a choice of another set's embeddings, which are counted there
        if any(path.parent.glob("extract.*.json")):
            number = existing_receipt(path)["counts"]["utterances"]
            counts[path.parents[1].name] = Counter(came_in=number, went_on=number)
    return counts


def _count_all_stages(paths: list[Path], data: Path) -> Counter:
    """Speech utterances from corpus to packed audio; each dropped one is counted once."""
    total: Counter[str] = Counter()
    for prepared in sorted({path.parents[1] for path in paths if path.parent.name == "vad"}):
        ledgers = _ledgers_of_set(paths, prepared)
        reasons: dict[str, str] = {}
        for ledger in reversed(ledgers):  # the first stage that dropped an utterance counts
            dropped = read_dropped(ledger.parent / "dropped")
            reasons |= {utterance: reason for utterance, reason, _ in dropped}
        came_in = read_counts(ledgers[0])["came_in"]
        total.update(came_in=came_in, went_on=came_in - len(reasons))
        total.update(reasons.values())
    if data / "ledger.json" in paths:  # of the corpus, before it was divided into sets
        corpus = read_counts(data / "ledger.json")
        total["came_in"] += corpus["came_in"] - corpus["went_on"]
        for name, number in corpus.items():
            if name not in TOTALS and not name.startswith(OTHER_COUNTS):
                total[name] += number
    return total


def _ledgers_of_set(paths: list[Path], prepared: Path) -> list[Path]:
    """The ledgers of a set in the order of its stages: data directory, VAD, packed audio."""
    ledgers = []
    for path in paths:
        folder = path.parent
        if prepared.name in (folder.name, folder.parent.name) and not _has_other_utterances(folder):
            ledgers.append(path)
    ledgers.sort(key=lambda path: (path.parent != prepared, path.parent.parent != prepared))
    return ledgers


def _has_other_utterances(folder: Path) -> bool:
    """Whether a ledger counts augmented copies, or excerpts that were drawn for trials."""
    return (folder / "utt2uniq").exists() or not (folder / "dropped").exists()


def _min_seconds(data: Path, paths: list[Path]) -> float:
    """The shortest utterance that was packed, in seconds; 0 if receipts disagree."""
    limits = set()
    for path in paths:
        if path.parent.parent == data:
            continue
        for receipt in sorted(path.parent.glob("receipts/pack_audio*.json")):
            limits.add(existing_receipt(receipt)["options"].get("min_seconds", 0.0))
    return limits.pop() if len(limits) == 1 else 0.0


def _ledger_lines(
    data: Path, packed: Path | None, experiment: Path | None
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Stage, its sum in words, and its sets in words; first all stages, under the name ""."""
    paths = ledger_files(data, packed)
    limit = _min_seconds(data, paths)
    total = _count_all_stages(paths, data)
    if total:
        yield "", describe_counts(total, limit), {}
    for stage, sets in _count_by_stage(paths, data, experiment).items():
        stage_total: Counter[str] = Counter()
        described = {}
        for name, counts in sets.items():
            stage_total.update(counts)
            described[name] = describe_counts(counts, limit)
        yield stage, describe_counts(stage_total, limit), described


def ledger_text(data: Path, packed: Path | None = None, experiment: Path | None = None) -> str:
    """All stages together and each stage, for the end of a run; empty if there is no ledger."""
    lines = []
    for stage, words, _ in _ledger_lines(data, packed, experiment):
        if stage:
            words = f"   {stage}: {words.removeprefix('utterances: ')}"
        lines.append(words)
    return "\n".join(lines)


def ledger_section(
    data: Path, packed: Path | None = None, experiment: Path | None = None
) -> Section | None:
    """What each stage did with its utterances; None if there is no ledger."""
    stages = list(_ledger_lines(data, packed, experiment))
    if not stages:
        return None
    return Section("Utterances", render("ledger.html", stages=stages))
