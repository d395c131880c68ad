r"""Turn scores into log-likelihood ratios by what ``steps.calibrate`` learned.

    python -m steps.apply_calibration exp/x/calibration/cosine exp/x/scores/test/cosine.scores data/full/test \
      exp/x/scores/test/cosine_calibrated.scores
"""

from collections.abc import Mapping
from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.receipts import Task
from utils.scoring.score_files import receipt_of, write_scores

FORMAT = 1


def apply_calibration(
    calibration: Path,
    scores: list[Path],
    data: Path,
    output: Path,
    *,
    enroll_spk2utt: Path | None = None,
    measures: list[Path] | None = None,
    allow_leakage: bool = False,
) -> dict:
    """Write calibrated, or fused, scores, and say in their receipt that they are log-likelihood ratios (natural logarithms).

    Parameters
    ----------
    calibration : path
        Folder that ``steps.calibrate`` wrote.
    scores : list of path
        Score files of the systems that it was trained on, on the same trials.
    data : path
        Data directory of the trials, whose ``utt2spk`` says whose they are.
    output : path
        Score file.
    enroll_spk2utt : path or None
        As for ``steps.score``; None: the data directory's, where it has one.
    measures : list of path or None
        The quality measures that it was trained with.
    allow_leakage : bool
        Go on though speakers of these trials are among those that the calibration was trained on, and mark the result.

    Returns
    -------
    dict
        Number of ``trials``, ``llr`` (true), the ``protocol``, and ``watermarks``.

    Raises
    ------
    UserError
        Other systems or measures than it was trained with, or speakers that it was trained on.
    """
    from utils.scoring.calibration_files import measures_of, systems_of

    systems, qualities, listed = (
        systems_of(scores),
        measures_of(measures or []),
        enroll_spk2utt or data / "enroll.spk2utt",
    )
    inputs = {
        "calibration": calibration / "receipts" / "calibrate.json",
        "utt2spk": data / "utt2spk",
    }
    inputs |= {
        f"scores {name}": receipt_of(path) if receipt_of(path).exists() else path
        for name, path in systems.items()
    }
    inputs |= {f"measure {name}": path for name, path in qualities.items()}
    inputs |= {"enroll_spk2utt": listed} if enroll_spk2utt or listed.exists() else {}
    task = Task(
        output.parent,
        receipt_of(output).stem,
        format=FORMAT,
        inputs=inputs,
        options={"allow_leakage": allow_leakage},
    )
    if task.is_done():
        return task.counts
    from utils.scoring.calibration_files import (
        facts_of,
        read_calibration,
        same_pairs,
        trial_features,
    )
    from utils.trials.leakage import refuse_leakage
    from utils.trials.speakers import models_of, speakers_of_sides

    learned = read_calibration(calibration)
    refuse_other_systems(calibration, learned, systems, qualities)
    enrol, test = same_pairs(systems)
    tests = {data.name: speakers_of_sides({*enrol, *test}, data, enroll_spk2utt)}
    leaks = refuse_leakage(tests, {"calibration": set(learned["speakers"])}, allow=allow_leakage)
    first = next(iter(systems.values()))
    names, features = trial_features(
        systems, qualities, learned["combine"], enrol, test, models_of(data, enroll_spk2utt), first
    )
    write_scores(
        output,
        enrol,
        test,
        features @ [learned["weights"][name] for name in names] + learned["offset"],
    )
    protocol, marks = facts_of(systems)
    watermarks = sorted({*marks, *learned["watermarks"], *leaks})
    return task.finish(
        [output],
        {"trials": len(enrol), "llr": True, "protocol": protocol, "watermarks": watermarks},
    )


def refuse_other_systems(
    calibration: Path, learned: Mapping, systems: Mapping[str, Path], measures: Mapping[str, Path]
) -> None:
    """Refuse scores of something else than what the calibration was trained on.

    Parameters
    ----------
    calibration : path
        Its folder, for messages.
    learned : mapping
        From `read_calibration`.
    systems, measures : mappings of str to path
        By name.

    Raises
    ------
    UserError
        Names differ, or scores were made by another back end or with other options.
    """
    from utils.scoring.calibration_files import made_with

    for what, here in (("systems", systems), ("measures", measures)):
        if list(here) != learned[what]:
            expected, found = (", ".join(names) or "none" for names in (learned[what], here))
            raise UserError(
                f"{calibration}: trained with {what} {expected}, given {found}; give the same"
            )
    for name, path in systems.items():
        before, now = learned["made_with"][name], made_with(path)
        if before != now:
            part = next(
                part
                for part in sorted({*(before or {}), *(now or {})})
                if (before or {}).get(part) != (now or {}).get(part)
            )
            raise UserError(
                f"{path}: the {part} of its scores is not that of the scores that {calibration} was trained on; "
                "score both alike, or calibrate again"
            )


if __name__ == "__main__":
    run(apply_calibration)
