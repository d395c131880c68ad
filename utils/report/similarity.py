"""The report's section on similarity matrices: picture, error rates over thresholds, and where the numbers are."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from utils.errors import UserError
from utils.files import read_json_object, read_lines
from utils.metrics.rates import reversal_note
from utils.report.page import Section
from utils.report.render import drawing, render

# thresholds at which both rates are higher than this in sum are left out of the page;
# thresholds.tsv has all
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
    """What steps.similarity_matrix has written below ``similarity/``; None where there is nothing.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    matrices = []
    for path in similarity_receipts(experiment):
        folder = path.parents[1]
        summary = read_json_object(folder / "summary.json", SUMMARY)
        rates = [
            [threshold, f"{100 * far:.2f}", f"{100 * frr:.2f}"]
            for threshold, far, frr in _rates(folder / "thresholds.tsv")
            if far + frr < SHOWN_RATE
        ]
        one = {
            "name": folder.name,
            "summary": summary,
            "marks": filter(None, [*summary["watermarks"], reversal_note(summary["eer_percent"])]),
            "drawing": drawing((folder / "similarity.svg").read_text(encoding="utf-8")),
            "rates": rates,
        }
        matrices.append(one)
    if not matrices:
        return None
    return Section("Similarity", render("similarity.html", matrices=matrices))


def similarity_receipts(experiment: Path) -> list[Path]:
    """Receipts of the matrices of an experiment.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    return sorted(experiment.glob("similarity/*/receipts/similarity_matrix.json"))


def _rates(path: Path) -> Iterator[tuple[str, float, float]]:
    """Thresholds and their two rates, behind the line that names the columns."""
    lines = [line for line in enumerate(read_lines(path), 1) if not line[1].startswith("#")]
    for number, line in lines[1:]:
        try:
            threshold, far, frr = line.split("\t")
            yield threshold, float(far), float(frr)
        except ValueError:
            raise UserError(
                f"{path}:{number}: '{line[:40]}', expected a threshold and two rates; run steps.similarity_matrix again"
            ) from None
