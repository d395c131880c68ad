"""The report's section on similarity matrices: picture, error rates by threshold, files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from utils.errors import UserError
from utils.files import read_json_object, read_lines
from utils.metrics.rates import reversal_note
from utils.report.page import Section
from utils.report.render import drawing, render

# the page leaves out thresholds whose two rates sum to more; thresholds.tsv has all
SHOWN_RATE = 0.5
SUMMARY: Mapping[str, type | tuple[type, ...]] = {
    "backend": str,
    "watermarks": list,
    "models": int,
    "tests": int,
    "eer_percent": (int, float),
    "published_eer_percent": (int, float),
    "published_threshold": (int, float),
}


def similarity_section(experiment: Path) -> Section | None:
    """The outputs of steps.similarity_matrix below ``similarity/``; None if there are none."""
    matrices = [_read_matrix(path.parents[1]) for path in similarity_receipts(experiment)]
    if not matrices:
        return None
    return Section("Similarity", render("similarity.html", matrices=matrices))


def _read_matrix(folder: Path) -> dict:
    """One matrix as the template shows it."""
    summary = read_json_object(folder / "summary.json", SUMMARY)
    rates = []
    for threshold, far, frr in _read_thresholds(folder / "thresholds.tsv"):
        if far + frr < SHOWN_RATE:
            rates.append([threshold, f"{100 * far:.2f}", f"{100 * frr:.2f}"])
    note = reversal_note(summary["eer_percent"])
    return {
        "name": folder.name,
        "summary": summary,
        "marks": filter(None, [*summary["watermarks"], note]),
        "drawing": drawing((folder / "similarity.svg").read_text(encoding="utf-8")),
        "rates": rates,
    }


def similarity_receipts(experiment: Path) -> list[Path]:
    """Receipts of the matrices of an experiment."""
    return sorted(experiment.glob("similarity/*/receipts/similarity_matrix.json"))


def _read_thresholds(path: Path) -> Iterator[tuple[str, float, float]]:
    """Thresholds with false acceptance and rejection, below the line of column names."""
    lines = [line for line in enumerate(read_lines(path), 1) if not line[1].startswith("#")]
    for number, line in lines[1:]:
        try:
            threshold, far, frr = line.split("\t")
            yield threshold, float(far), float(frr)
        except ValueError:
            raise UserError(
                f"{path}:{number}: '{line[:40]}', expected a threshold and two rates; "
                "run steps.similarity_matrix again"
            ) from None
