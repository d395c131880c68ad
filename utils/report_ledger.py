"""The report's section on utterances: at each stage, how many came in, how many were kept, and why the others were not."""

import json
from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path

BESIDE = ("lost_trials", "pieces:")  # counts of a ledger that are no utterances


def phrase(counts: Mapping[str, int]) -> str:
    """A ledger in one line: ``utterances: 1,500 in = 1,498 kept + 2 dropped (2 unreadable)``.

    Parameters
    ----------
    counts : mapping of str to int
        Of ``ledger.json``: ``came_in``, ``went_on``, and reasons.
    """
    beside = {name: number for name, number in counts.items() if name.startswith(BESIDE)}
    reasons = {name: number for name, number in counts.items() if name not in ("came_in", "went_on", *beside)}
    why, more = (", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in sorted(found.items())) for found in (reasons, beside))
    dropped = counts["came_in"] - counts["went_on"]
    return (f"utterances: {counts['came_in']:,} in = {counts['went_on']:,} kept + {dropped:,} dropped" + (f" ({why})" if why else "")
            + (f"; {more}" if more else ""))


def ledger_section(data: Path) -> str:
    """What each step that can drop utterances did with them, stage by stage; empty where there is no ledger.

    Parameters
    ----------
    data : path
        Folder whose ``ledger.json`` files are shown: of ``<set>``, ``<set>/vad`` and ``<folder>/<set>``.
    """
    stages: dict[str, dict[str, Mapping[str, int]]] = {}
    for path in sorted(data.rglob("ledger.json")):
        *above, last = path.parent.relative_to(data).parts or (data.name,)
        is_set = (path.parent / "utt2spk").exists()
        stage, name = ("/".join(above) or "prepared", last) if is_set or not above else (last, "/".join(above))
        stages.setdefault(stage, {})[name] = json.loads(path.read_text(encoding="utf-8"))
    lines = []
    for stage, sets in sorted(stages.items(), key=lambda item: (item[0] != "prepared", item[0] != "vad", item[0])):
        total: Counter[str] = Counter()
        for counts in sets.values():
            total.update(counts)
        inside = "".join(f"<li>{escape(name)}: {escape(phrase(counts))}</li>" for name, counts in sets.items())
        lines.append(f'<details><summary>{escape(stage)}: {escape(phrase(total))}</summary><ul class="ledger">{inside}</ul></details>')
    return "\n".join(["<h2>Utterances</h2>", *lines]) if lines else ""
