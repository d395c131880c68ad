"""The report's section on similarity matrices: picture, error rates over thresholds, and where the numbers are."""

import json
from html import escape
from pathlib import Path

from utils.report_page import table

SHOWN_RATE = 0.5  # thresholds at which both rates are higher than this in sum are left out of the page; thresholds.tsv has all


def similarity_section(experiment: Path) -> str:
    """What steps.similarity_matrix has written below ``similarity/``; empty where there is nothing.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    parts = []
    for path in similarity_receipts(experiment):
        folder = path.parents[1]
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        lines = [line.split("\t") for line in (folder / "thresholds.tsv").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        rows = [[threshold, f"{100 * float(far):.2f}", f"{100 * float(frr):.2f}"] for threshold, far, frr in lines[1:]
                if float(far) + float(frr) < SHOWN_RATE]
        parts += [f"<h3>{escape(folder.name)}, {escape(summary['backend'])}</h3>"]
        parts += [f'<p class="watermark">{escape(mark)}</p>' for mark in summary["watermarks"]]
        parts += [f"<p>{summary['models']:,} models against {summary['tests']:,} tests.  EER {summary['eer_percent']:.2f} %; as the GE2E seed reads "
                  f"it, at one of 50 thresholds ({summary['published_threshold']:.2f}): {summary['published_eer_percent']:.2f} %.  Numbers: "
                  f"similarity/{escape(folder.name)}/similarity.npy and thresholds.tsv.</p>",
                  f"<figure>{(folder / 'similarity.svg').read_text(encoding='utf-8')}</figure>",
                  "<details><summary>false acceptance and rejection over thresholds</summary>",
                  table(["threshold", "FAR %", "FRR %"], rows), "</details>"]
    return "\n".join(["<h2>Similarity</h2>", *parts]) if parts else ""


def similarity_receipts(experiment: Path) -> list[Path]:
    """Receipts of the matrices of an experiment.

    Parameters
    ----------
    experiment : path
        Its folder.
    """
    return sorted(experiment.glob("similarity/*/receipts/similarity_matrix.json"))
