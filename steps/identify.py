"""Identify who of a gallery speaks in recordings: the most likely people, and a decision.

    python -m steps.identify MODEL gallery.json test.wav
    python -m steps.identify MODEL gallery.json test.wav --threshold threshold.json --json

A stranger may speak, too.  A person is identified if the score reaches the threshold for a
false-alarm rate a of the whole gallery: of N people, that of rate a / N for each.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.audio import Channel
from utils.cli import one_line_message, run
from utils.errors import UserError
from utils.pretrained import resolve_model

if TYPE_CHECKING:
    from utils.galleries import Identification

FORMAT = 1


def identify(
    model: Path,
    gallery: Path,
    files: list[Path],
    *,
    top: int = 5,
    false_alarm_rate: float = 0.01,
    threshold: Path | None = None,
    window_seconds: float | None = None,
    channel: Channel = 0,
    min_speech_seconds: float = 0.5,
    test_seconds: float = 1.0,
    max_clipped_fraction: float = 0.01,
    allow_pipes: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 1,
    json: bool = False,
) -> list[dict]:
    """Rank the people of a gallery for each recording; print them and the decision.

    The exit code is 0 for a decision, whether a person or nobody, and for ranks without one.

    Parameters
    ----------
    model : path
        Model folder, experiment, or the name of a published network that was fetched.
    gallery : path
        File of ``steps.enrol``.
    files : list of path
        Recordings of unknown people, each by itself; ``DATA:utterance``, or folders of these.
    top : int
        People that are printed.
    false_alarm_rate : float
        How often a stranger may be taken for anybody of the gallery.
    threshold : path or None
        ``threshold.json`` of ``steps.fit_threshold``; None: the model's own one.
    window_seconds : float or None
        Identify windows of this length, too, each with its time; None: recordings of more than ten
        minutes are embedded in windows of a minute, others whole.
    channel : int or "mean"
        Channel of recordings with several, from 0, or the mean of all.
    min_speech_seconds : float
        A recording with less speech is refused.
    test_seconds : float
        Speech of a recording below which a warning is printed.
    max_clipped_fraction : float
        Fraction of clipped samples above which a warning is printed.
    allow_pipes : bool
        Run the commands of a data directory's wav.scp.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; sums depend on their number.
    json : bool
        Print a JSON object for each recording, on a line of its own.

    Returns
    -------
    list of dict
        What was printed for each recording.

    Raises
    ------
    UserError
        The gallery is empty, damaged or of another model; a recording cannot be used, or enrolled
        one of its people; the threshold belongs to another model.
    """
    folder = resolve_model(model)
    from steps.api import load_model
    from utils.data_dir.recordings import RecordingFinder
    from utils.embeddings.recordings import Limits
    from utils.galleries import read_gallery
    from utils.torch_device import use_device

    limits = Limits(min_speech_seconds, 0.0, test_seconds, max_clipped_fraction)
    read_gallery(gallery)
    use_device(device, num_threads)
    loaded = load_model(folder, device)
    loaded.finder = RecordingFinder(channel=channel, allow_pipes=allow_pipes)
    identifier = loaded.identifier(gallery, false_alarm_rate, threshold)
    for remark in identifier.remarks():
        print(remark, file=sys.stderr)
    sources = [source for _, source in loaded.finder.expand(files)]
    for kind, number in sorted(loaded.finder.left_out.items()):
        print(f"left out: {number} files of the kind {kind}", file=sys.stderr)
    rows = []
    failed = 0
    for source in sources:
        try:
            embedded = loaded.embed_recording(source, limits=limits, window_seconds=window_seconds)
            row = _row(source, loaded.digest, identifier.identify(embedded, top, limits))
        except UserError as error:
            if len(sources) == 1:
                raise
            failed += 1
            row = {"file": str(source), "error": one_line_message(error)}
        rows.append(row)
        _show(row, json)
    if failed:
        raise UserError(f"{failed} of {len(rows)} recordings could not be used")
    return rows


def _row(source: str | Path, digest: str, result: "Identification") -> dict:
    """The outcome for a recording, as it is written."""
    rule = result.open_set
    return {
        "file": str(source),
        "decision": result.decision,
        "name": result.name,
        "candidates": [asdict(candidate) for candidate in result.candidates],
        "margin": result.margin,
        "threshold": rule.threshold,
        "false_alarm_rate": rule.false_alarm_rate,
        "num_people": rule.num_people,
        "basis": rule.basis,
        "model": digest,
        "remarks": list(result.remarks),
        "windows": [asdict(window) for window in result.windows],
    }


def _show(row: Mapping, as_json: bool) -> None:
    """Print the outcome for a recording, its remarks to standard error."""
    if "error" in row:
        print(row["error"], file=sys.stderr)
    for remark in row.get("remarks", ()):
        print(remark, file=sys.stderr)
    if as_json:
        print(json.dumps(row), flush=True)
    elif "error" not in row:
        print("\n".join(_describe(row)), flush=True)


def _describe(row: Mapping) -> list[str]:
    """The outcome for a recording in words."""
    lines = [f"{row['file']}: {_decision(row)}"]
    for place, candidate in enumerate(row["candidates"], 1):
        lines.append(f"  {place}. {_candidate(candidate)}")
    if row["margin"] is not None:
        lines.append(f"  margin to the second: {row['margin']:.4f}")
    for window in row["windows"]:
        times = f"{window['start_seconds']:.1f} to {window['end_seconds']:.1f} s"
        text = f"  {times}: {_candidate(window['first'])}"
        if row["threshold"] is not None:
            text += f", {window['name'] or 'nobody'}"
        lines.append(text)
    if row["threshold"] is None:
        lines.append(f"  no decision: {row['basis']}")
        return lines
    lines.append(
        f"  scores of at least {row['threshold']:.4f} identify: a stranger is taken for anybody of "
        f"{row['num_people']} people at a rate of {row['false_alarm_rate']:g} at most"
    )
    lines.append(f"  by: {row['basis']}")
    return lines


def _decision(row: Mapping) -> str:
    if row["decision"] is None:
        return "ranks without a decision"
    if row["name"] is None:
        return "nobody of the gallery"
    return row["name"]


def _candidate(candidate: Mapping) -> str:
    text = f"{candidate['name']}: score {candidate['score']:.4f}"
    if candidate["ratio"] is not None:
        text += f", log-likelihood ratio {candidate['ratio']:.2f}"
    return text


if __name__ == "__main__":
    run(identify)
