"""Say in plain words whether fine-tuning helped, by the paired tests of steps.compare.

    python -m steps.judge_fine_tuning exp/campplus_finetune-campplus-mine \\
        exp/campplus_finetune-campplus-mine/compared
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.evaluation.comparison import is_clear, needed, probability
from utils.files import read_entries, write_json
from utils.pretrained.training_data import first_network
from utils.receipts import Task, existing_receipt

FORMAT = 2
TEST = "test"


def judge_fine_tuning(experiment: Path, compared: Path, *, own_domain: Path | None = None) -> dict:
    """Write ``fine_tuning.json``: whether fine-tuning helped, and what it cost elsewhere.

    Parameters
    ----------
    experiment : path
        The fine-tuned network's experiment.
    compared : path
        Output of ``steps.compare`` with this experiment and the network before, in this order.
    own_domain : path or None
        The same on trials of the domain that the network was trained for; None: the file says that
        it was not measured.

    Returns
    -------
    dict
        ``answer``: helped, harmed, inconclusive, unchanged or unknown.

    Raises
    ------
    UserError
        There is no comparison.
    """
    receipt = experiment / "receipts" / "train.json"
    inputs = {"training": receipt, "compared": compared / "receipts" / "compare.json"}
    if own_domain is not None:
        inputs["own domain"] = own_domain / "receipts" / "compare.json"
    task = Task(experiment, "judge_fine_tuning", format=FORMAT, inputs=inputs, options={})
    if task.is_done():
        return task.counts
    chosen_step = existing_receipt(receipt)["counts"].get("chosen_step")
    is_unchanged = chosen_step == 0 and _is_first_network(experiment)
    answer, line = judge(_differences(compared, TEST), is_unchanged)
    lines = [line + _rates(compared, TEST)]
    lines += _choice(chosen_step)
    lines.append(_cost(own_domain))
    path = experiment / "fine_tuning.json"
    write_json(path, [{"answer": answer, "lines": lines}])
    return task.finish([path], {"answer": answer})


def _is_first_network(experiment: Path) -> bool:
    """Whether the final network is the one that the first phase began with."""
    from utils.training.checkpoints import read_network_weights, weights_digest

    _, weights = read_network_weights(experiment)
    return weights_digest(weights) == first_network(experiment)


def judge(differences: Sequence[Mapping], is_unchanged: bool) -> tuple[str, str]:
    """The answer, and its line, from the paired difference after - before of the test trials.

    ``is_unchanged``: the dev speakers chose the network as it was.
    """
    if is_unchanged:
        return "unchanged", (
            "fine-tuning did not help: at no step was the EER of the dev speakers lower than "
            "before, so that the network is the same as before"
        )
    if not differences or differences[0]["no_interval"]:
        reason = "the test trials have no error rate of both networks"
        if differences:
            reason = differences[0]["no_interval"]
        return "unknown", f"whether fine-tuning helped cannot be told: {reason}"
    entry = differences[0]
    eer = entry["eer_percent"]
    figures = _figures(entry)
    if not is_clear(entry):
        return "inconclusive", f"fine-tuning: inconclusive{needed(eer)}; {figures}"
    if eer["difference"] < 0:
        return "helped", f"fine-tuning helped: {figures}"
    return "harmed", f"fine-tuning did not help, it harms: {figures}"


def _figures(entry: Mapping) -> str:
    """A difference in EER with interval and probability, in words."""
    eer = entry["eer_percent"]
    return (
        f"EER {eer['difference']:+.2f} points (95 % interval {eer['low']:+.2f} to "
        f"{eer['high']:+.2f}, {probability(entry['p_corrected'])}) on {entry['speakers']:,} "
        "test speakers"
    )


def _differences(compared: Path, test_set: str) -> list[dict]:
    """The entry of the pair on a test set; an empty list if it has no error rate."""
    entries = read_entries(compared / "differences.json")
    return [entry for entry in entries if entry["test_set"] == test_set]


def _rates(compared: Path, test_set: str) -> str:
    """The error rates before and after, as the end of a line; empty if there are none."""
    rows = []
    for row in read_entries(compared / "results.json"):
        if row["test_set"] == test_set and row["subset"] == "all":
            rows.append(row)
    if len(rows) < 2:
        return ""
    after, before = (_rate(row) for row in rows[:2])
    return f"; {before} before, {after} after"


def _rate(row: Mapping) -> str:
    """An equal error rate with its interval."""
    ends = row["eer_percent_interval"]
    if ends is None:
        return f"{row['eer_percent']:.2f} %"
    return f"{row['eer_percent']:.2f} % ({ends[0]:.2f} to {ends[1]:.2f})"


def _choice(chosen_step: int | None) -> list[str]:
    """A line about the number of steps, if dev speakers chose it."""
    if chosen_step is None:
        return []
    if chosen_step == 0:
        return ["the dev speakers chose the network that the last phase began with"]
    return [f"the dev speakers chose the network after {chosen_step:,} steps of the last phase"]


def _cost(own_domain: Path | None) -> str:
    """A line about what fine-tuning costs in the domain that the network was trained for."""
    if own_domain is None:
        return (
            "what it costs in the network's own domain was not measured; recipes/own measures it "
            "by --own-domain, a data directory with trials of that domain"
        )
    rows = read_entries(own_domain / "results.json")
    if not rows:
        raise UserError(
            f"{own_domain}: no results in it, expected those of steps.compare; run stage 7 again"
        )
    name = rows[0]["test_set"]
    entry = _differences(own_domain, name)[0]
    rates = _rates(own_domain, name)
    if entry["no_interval"]:
        return f"in the network's own domain{rates}, no interval: {entry['no_interval']}"
    eer = entry["eer_percent"]
    effect = "it helps there"
    if not is_clear(entry):
        effect = f"inconclusive{needed(eer)}"
    elif eer["difference"] > 0:
        effect = "it harms"
    return f"in the network's own domain: {effect}; {_figures(entry)}{rates}"


if __name__ == "__main__":
    run(judge_fine_tuning)
