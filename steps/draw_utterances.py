"""Draw training utterances by a seed, to centre systems without embeddings of the whole set.

python -m steps.draw_utterances data/full/packed_16000/train data/full/packed_16000/train_drawn
"""

from pathlib import Path

from utils.cli import run
from utils.data_dir.derive import DRAWN_UTTERANCES, drawn_utterances
from utils.errors import UserError
from utils.packed.facts import write_sound_facts
from utils.receipts import Task, data_dir_inputs

FORMAT = 1


def draw_utterances(
    data: Path, output: Path, *, count: int = DRAWN_UTTERANCES, seed: int = 1
) -> dict:
    """Write a data directory of some utterances, without trials; the audio is not copied.

    Parameters
    ----------
    data : path
        Data directory, packed or not.
    output : path
        The new one.
    count : int
        Number of utterances to draw; all, if there are fewer.
    seed : int
        Seed of the draw, 0 or more; steps.train draws the same utterances by the same seed.

    Returns
    -------
    dict
        Number of ``utterances``.

    Raises
    ------
    UserError
        An option is out of range.
    """
    from utils.data_dir.formats import list_names

    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    if count < 1:
        raise UserError(f"--count is {count}, expected 1 or more")
    task = Task(
        output,
        "made",
        format=FORMAT,
        inputs=data_dir_inputs(data, "wav.scp", *list_names(data)),
        options={"count": count, "seed": seed},
        shared=True,
    )
    if task.is_done():
        return task.counts
    from utils.data_dir import read_data_dir, subset_data_dir, write_data_dir

    source = read_data_dir(data)
    source.trials = None
    source.maps.pop("enroll.spk2utt", None)
    drawn = drawn_utterances(source.utt2spk, seed, count)
    write_data_dir(subset_data_dir(source, utterances=drawn), output)
    facts = write_sound_facts(data, output)
    written = [output / name for name in list_names(output)]
    print(f"{output}: {len(drawn):,} of {len(source.utt2spk):,} utterances of {data}")
    return task.finish([*written, facts], {"utterances": len(drawn)})


if __name__ == "__main__":
    run(draw_utterances)
