"""Verify whether recordings are of one person: score, likelihood ratio, decision.

    python -m steps.verify campplus enrolment.wav test.wav
    python -m steps.verify MODEL enrolment.wav test.m4a --more-enrol second.wav third.wav
    python -m steps.verify MODEL --pairs pairs.tsv --threshold threshold.json --json

A recording is a file that libsndfile or ffmpeg reads, or ``DATA:utterance`` of a data directory.
Names of files are never parsed; behind ``--`` they may begin with a dash.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.audio import Channel
from utils.cli import one_line_message, run
from utils.errors import UserError, WrongArguments
from utils.files import read_foreign_lines, split_words
from utils.pretrained import resolve_model

if TYPE_CHECKING:
    from steps.api import LoadedModel, Verification
    from utils.embeddings.recordings import EmbeddedRecording, Limits

FORMAT = 1


def verify(
    model: Path,
    enrol: Path | None = None,
    test: Path | None = None,
    *,
    more_enrol: list[Path] | None = None,
    pairs: Path | None = None,
    threshold: Path | None = None,
    p_target: float | None = None,
    c_miss: float | None = None,
    c_fa: float | None = None,
    window_seconds: float | None = None,
    channel: Channel = 0,
    min_speech_seconds: float = 0.5,
    enrolment_seconds: float = 3.0,
    test_seconds: float = 1.0,
    max_clipped_fraction: float = 0.01,
    allow_pipes: bool = False,
    root: Path | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 1,
    json: bool = False,
) -> list[dict]:
    """Compare a test recording with the recordings that enrol a person; print the outcome.

    The exit code is 0 for a decision, whether accept or reject, and for a score without one.

    Parameters
    ----------
    model : path
        Model folder, experiment, or the name of a published network that was fetched.
    enrol : path or None
        Recording of the person.
    test : path or None
        Recording to be compared with it.
    more_enrol : list of path or None
        Further recordings of the person; the mean direction of all embeddings is compared.
    pairs : path or None
        In place of the two recordings: text file of a pair on each line, separated by a tab, or by
        blanks where the names have none.
    threshold : path or None
        ``threshold.json`` of ``steps.fit_threshold``; None: the model's own one, or its
        calibration.
    p_target : float or None
        Prior probability that both are of one person; None: that of the threshold, or 0.5.
    c_miss : float or None
        Cost of rejecting the person; None: that of the threshold, or 1.
    c_fa : float or None
        Cost of accepting another person; None: that of the threshold, or 1.
    window_seconds : float or None
        Compare windows of the test of this length, too, each with its time; None: recordings of
        more than ten minutes are embedded in windows of a minute, others whole.
    channel : int or "mean"
        Channel of recordings with several, from 0, or the mean of all.
    min_speech_seconds : float
        A recording with less speech is refused.
    enrolment_seconds : float
        Speech of an enrolment recording below which a warning is printed.
    test_seconds : float
        The same of a test recording.
    max_clipped_fraction : float
        Fraction of clipped samples above which a warning is printed.
    allow_pipes : bool
        Run the commands of a data directory's wav.scp.
    root : path or None
        Folder that relative paths of a wav.scp start from; None: the current one.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; sums depend on their number.
    json : bool
        Print a JSON object for each pair, on a line of its own.

    Returns
    -------
    list of dict
        What was printed for each pair.

    Raises
    ------
    UserError
        A recording cannot be used or is on both sides, or the threshold belongs to another model.
    """
    wanted = _list_pairs(enrol, test, more_enrol, pairs)
    folder = resolve_model(model)
    from steps.api import load_model
    from utils.data_dir.recordings import RecordingFinder
    from utils.embeddings.recordings import Limits
    from utils.scoring.verification import OperatingPoint
    from utils.torch_device import use_device

    limits = Limits(min_speech_seconds, enrolment_seconds, test_seconds, max_clipped_fraction)
    use_device(device, num_threads)
    loaded = load_model(folder, device)
    loaded.finder = RecordingFinder(channel=channel, allow_pipes=allow_pipes, root=root)
    rule = loaded.rule(threshold, OperatingPoint(p_target, c_miss, c_fa))
    comparer = _Comparer(loaded, limits, window_seconds)
    rows = []
    failed = 0
    for where, enrolment, tested in wanted:
        try:
            result = comparer.compare(enrolment, tested, rule)
        except UserError as error:
            if pairs is None:
                raise
            failed += 1
            row = _failed_row(enrolment, tested, f"{where}: {one_line_message(error)}")
        else:
            row = _row(loaded, enrolment, tested, result)
        rows.append(row)
        _show(row, json, loaded.folder)
    if failed:
        raise UserError(f"{pairs}: {failed} of {len(rows)} pairs could not be compared")
    return rows


Pair = tuple[str, list[Path], Path]


def _list_pairs(
    enrol: Path | None, test: Path | None, more_enrol: list[Path] | None, pairs: Path | None
) -> list[Pair]:
    """Where each pair stands, its enrolment and its test."""
    if pairs is None:
        if enrol is None or test is None:
            raise WrongArguments("expected MODEL, ENROL and TEST, or MODEL and --pairs FILE")
        return [("", [enrol, *(more_enrol or [])], test)]
    if enrol is not None or more_enrol:
        raise WrongArguments("--pairs: the file has the recordings; leave the others out")
    found = list(_read_pairs(pairs))
    if not found:
        raise UserError(f"{pairs}: empty, expected two recordings on each line")
    return found


def _read_pairs(path: Path) -> Iterator[Pair]:
    for number, line in enumerate(read_foreign_lines(path), 1):
        if not line.strip():
            continue
        words = split_words(line)
        if "\t" in line:
            words = line.split("\t")
        if len(words) != 2 or not all(words):
            raise UserError(
                f"{path}:{number}: found {len(words)} names, expected two, separated by a tab "
                "where a name has blanks"
            )
        yield f"{path}:{number}", [Path(words[0])], Path(words[1])


class _Comparer:
    """Compares pairs; a recording that comes again is not embedded again."""

    def __init__(self, model: "LoadedModel", limits: "Limits", window_seconds: float | None):
        self.model, self.limits, self.window_seconds = model, limits, window_seconds
        self.embedded: dict[Path, EmbeddedRecording] = {}

    def compare(self, enrolment: Sequence[Path], test: Path, rule) -> "Verification":
        """The outcome of one pair."""
        enrolled = [self._embed(path) for path in enrolment]
        return self.model.compare(enrolled, self._embed(test), rule, self.limits)

    def _embed(self, path: Path) -> "EmbeddedRecording":
        if path not in self.embedded:
            self.embedded[path] = self.model.embed_recording(
                path, limits=self.limits, window_seconds=self.window_seconds
            )
        return self.embedded[path]


def _row(
    model: "LoadedModel", enrolment: Sequence[Path], test: Path, result: "Verification"
) -> dict:
    """The outcome of a pair, as it is written."""
    row = {
        "enrol": [str(path) for path in enrolment],
        "test": str(test),
        "score": result.score,
        "ratio": result.ratio,
        "decision": result.decision,
        "model": model.digest,
    }
    rule = result.rule
    if rule is not None:
        row |= {
            "threshold": rule.threshold,
            "p_target": rule.p_target,
            "c_miss": rule.c_miss,
            "c_fa": rule.c_fa,
            "basis": rule.basis,
        }
    row["remarks"] = list(result.remarks)
    row["windows"] = [vars(window) for window in result.windows]
    return row


def _failed_row(enrolment: Sequence[Path], test: Path, error: str) -> dict:
    return {"enrol": [str(path) for path in enrolment], "test": str(test), "error": error}


def _show(row: Mapping, as_json: bool, model: Path) -> None:
    """Print the outcome of a pair, its remarks to standard error."""
    if "error" in row:
        print(row["error"], file=sys.stderr)
    for remark in row.get("remarks", ()):
        print(remark, file=sys.stderr)
    if as_json:
        print(json.dumps(row), flush=True)
    elif "error" not in row:
        print("\n".join(_describe(row, model)), flush=True)


def _describe(row: Mapping, model: Path) -> list[str]:
    """The outcome of a pair in words."""
    lines = [f"{', '.join(row['enrol'])} and {row['test']}: score {row['score']:.4f}"]
    for window in row["windows"]:
        text = f"  {window['start_seconds']:.1f} to {window['end_seconds']:.1f} s: score "
        lines.append(f"{text}{window['score']:.4f}{_describe_ratio(window)}")
    if row["decision"] is None:
        lines.append(
            f"  no ratio and no decision: {model} has no calibration; fit a threshold on "
            f"recordings of your own: python -m steps.fit_threshold {model} FOLDER threshold.json"
        )
        return lines
    if row["ratio"] is not None:
        lines.append(f"  log-likelihood ratio: {row['ratio']:.2f}")
    lines.append(
        f"  {row['decision']}: scores of at least {row['threshold']:.4f} are accepted, for a prior "
        f"of {row['p_target']:g} and costs of {row['c_miss']:g} for a miss and {row['c_fa']:g} for "
        "a false alarm"
    )
    lines.append(f"  by: {row['basis']}")
    return lines


def _describe_ratio(window: Mapping) -> str:
    text = ""
    if window["ratio"] is not None:
        text += f", ratio {window['ratio']:.2f}"
    if window["accepted"] is not None:
        text += ", accept" if window["accepted"] else ", reject"
    return text


if __name__ == "__main__":
    run(verify)
