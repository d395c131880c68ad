"""N x M enrolment and verification (GE2E): models of N utterances, M test utterances a speaker.

Every model is compared with the test utterances of every speaker.

    python -m steps.make_enrolment data/full/packed_16000/test data/full/packed_16000/test_5x5 \\
        --enrol-utterances 5 --test-utterances 5

Score with ``steps.score --enroll-spk2utt data/full/packed_16000/test_5x5/enroll.spk2utt``: a model
is the mean of its utterances' embeddings.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from utils.cli import run
from utils.errors import UserError
from utils.files import atomic_write
from utils.packed.facts import WATERMARKS, write_sound_facts
from utils.receipts import Task, data_dir_inputs

if TYPE_CHECKING:
    from utils.data_dir import DataDir

FORMAT = 1


def make_enrolment(
    data: Path,
    output: Path,
    *,
    enrol_utterances: int = 5,
    test_utterances: int = 5,
    speakers: int | None = None,
    seed: int = 0,
    design: Path | None = None,
    single: bool = False,
) -> dict:
    """Write a data directory of the drawn utterances with ``enroll.spk2utt`` and ``trials``.

    Its audio stays in the files of the original.

    Parameters
    ----------
    data : path
        Data directory, packed or with features; its own trials are ignored.
    output : path
        New data directory.
    enrol_utterances : int
        Number of utterances of a model.
    test_utterances : int
        Number of other utterances of each speaker, compared with all models.
    speakers : int or None
        Number to draw of those with enough utterances; None: all.
    seed : int
        Seed of the draws, 0 or more.
    design : path or None
        YAML: which utterances enrol and which test, and a watermark; see
        `utils.trials.enrolment.TrialDesign`.
    single : bool
        Enrol every utterance by itself: trials that validation can score.

    Returns
    -------
    dict
        Numbers of ``models``, ``trials``, and speakers ``left_out`` with too few utterances.

    Raises
    ------
    UserError
        Too few speakers have enough utterances.
    """
    from utils.config import make, read_yaml
    from utils.data_dir.formats import list_names
    from utils.trials.enrolment import TrialDesign

    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    lists = list_names(data)
    chosen = make(TrialDesign, read_yaml(design) if design else None, str(design))
    options: dict = {
        "enrol_utterances": enrol_utterances,
        "test_utterances": test_utterances,
        "speakers": speakers,
        "seed": seed,
    }
    if design:
        options["design"] = vars(chosen)
    if single:
        options["single"] = True
    task = Task(
        output,
        "made",
        format=FORMAT,
        inputs=data_dir_inputs(data, "wav.scp", *lists),
        options=options,
    )
    if task.is_done():
        return task.counts
    from utils.data_dir import read_data_dir, write_data_dir
    from utils.trials.enrolment import enrol_and_verify, may_enrol_and_test, single_trials

    source = read_data_dir(data, allow_pipes=True)  # none is run
    if chosen.apart_by and chosen.apart_by not in source.maps:
        raise UserError(
            f"{data}: no {chosen.apart_by}, the list in apart_by of {design}; "
            f"it has {', '.join(lists)}"
        )
    try:
        pools = may_enrol_and_test(source.utt2spk, chosen, source.maps.get(chosen.apart_by), seed)
        models, trials, left_out = enrol_and_verify(
            source.spk2utt, enrol_utterances, test_utterances, speakers, seed, pools
        )
    except ValueError as error:
        raise UserError(f"{data}/utt2spk: {error}") from None
    kept = _drawn_part(source, models, trials)
    if single:
        trials = single_trials(models, trials)
    else:
        kept.maps["enroll.spk2utt"] = {model: " ".join(keys) for model, keys in models.items()}
    kept.trials = trials
    write_data_dir(kept, output)
    with atomic_write(output / WATERMARKS) as file:
        file.write(f"{chosen.watermark}\n" if chosen.watermark else "")
    _write_ledger(output / "ledger.json", len(source.utt2spk), len(kept.utt2spk))
    facts = write_sound_facts(data, output)
    written = [output / name for name in list_names(output)]
    counts = {"models": len(models), "trials": len(trials), "left_out": len(left_out)}
    print(
        f"{output}: {counts['models']:,} models of {enrol_utterances} utterances, "
        f"{counts['trials']:,} trials; {counts['left_out']:,} speakers "
        f"have fewer than {enrol_utterances + test_utterances} utterances"
    )
    return task.finish([*written, output / "ledger.json", output / WATERMARKS, facts], counts)


def _drawn_part(source: "DataDir", models: dict[str, list[str]], trials: list[str]) -> "DataDir":
    """The utterances that enrol or test, without the trials and models of the source."""
    from utils.data_dir import subset_data_dir

    source.trials = None
    source.maps.pop("enroll.spk2utt", None)
    drawn = {trial.split()[1] for trial in trials}
    for members in models.values():
        drawn.update(members)
    return subset_data_dir(source, utterances=drawn)


def _write_ledger(path: Path, came_in: int, went_on: int) -> None:
    """Write how many utterances were drawn."""
    numbers = {"came_in": came_in, "went_on": went_on, "not_drawn": came_in - went_on}
    with atomic_write(path) as file:
        json.dump(numbers, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    run(make_enrolment)
