"""Cut packed utterances to one length around their centre: tests of short utterances, and students that learn from them.

    python -m steps.cut_audio data/full/packed_16000/test data/full/packed_16000/test_2s --seconds 2

Tests alone need no copies: steps.extract has protocols for that (centre_2s).  The samples are written anew, at most as many bytes as
2 x rate x seconds for each utterance, so that everything that reads packed audio, Kaldi included, reads these as well.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from utils.cli import run
from utils.data_dir.ledger import lost_trials_of
from utils.errors import UserError
from utils.packed.facts import write_sound_facts
from utils.receipts import Task, data_dir_inputs

if TYPE_CHECKING:
    import numpy as np

    from utils.packed.reader import PackedReader

FORMAT = 1


def cut_audio(
    packed: Path, output: Path, *, seconds: float = 2.0, repeat_short: bool = True
) -> dict:
    """Write a packed data directory of the same utterances, cut; lists, trials and enrolment models stay.

    Parameters
    ----------
    packed : path
        Packed data directory (steps.collect_packed).
    output : path
        The new one: the archive ``packed.1.ark``, its lists, the ledger.
    seconds : float
        Length of every utterance.
    repeat_short : bool
        Utterances that are shorter are repeated until they have that length (MR-RawNet); otherwise they stay as they are.

    Returns
    -------
    dict
        Numbers of utterances, and of those that were ``shorter``.

    Raises
    ------
    UserError
        A length of no sample.
    """
    from utils.data_dir.formats import lists_of

    lists = lists_of(packed)
    task = Task(
        output,
        "made",
        format=FORMAT,
        inputs=data_dir_inputs(packed, "wav.scp", *lists),
        dear=True,
        options={"seconds": seconds, "repeat_short": repeat_short},
    )
    if task.is_done():
        return task.counts
    from utils.archive import ArchiveWriter, read_scp
    from utils.data_dir import read_data_dir, write_data_dir
    from utils.packed.packer import packed_lists
    from utils.packed.reader import PackedReader

    # pipes are refused below: they are not packed
    source = read_data_dir(packed, allow_pipes=True, needs_audio=True)
    reader = PackedReader(source.wav_scp, source.maps["utt2num_samples"])
    wanted = round(seconds * reader.sample_rate_hz)
    if wanted < 1:
        raise UserError(
            f"--seconds: {seconds}, expected at least one sample at {reader.sample_rate_hz} Hz"
        )
    num_samples: dict[str, int] = {}
    with ArchiveWriter(output / "packed.1.ark", output / "packed.1.scp") as writer:
        for index, utterance in enumerate(source.wav_scp):
            samples = centre_of(reader, index, wanted, repeat_short)
            writer.write_wave(utterance, samples, reader.sample_rate_hz)
            num_samples[utterance] = len(samples)
    source.maps.pop("text", None)  # of whole utterances
    write_data_dir(
        packed_lists(
            source,
            read_scp(output / "packed.1.scp"),
            num_samples,
            reader.sample_rate_hz,
            trimmed=True,
        ),
        output,
    )
    ledger = write_ledger(packed, output, len(num_samples))
    facts = write_sound_facts(
        packed,
        output,
        f"cut to {seconds:g} s around the centre{', short ones repeated' if repeat_short else ''}",
    )
    written = [output / name for name in lists_of(output)]
    counts = {"utterances": len(num_samples), "shorter": int((reader.num_samples < wanted).sum())}
    print(
        f"{output}: {counts['utterances']:,} utterances of {seconds:g} s; {counts['shorter']:,} were shorter"
    )
    return task.finish([writer, *written, ledger, facts], counts)


def centre_of(reader: "PackedReader", index: int, wanted: int, repeat_short: bool) -> "np.ndarray":
    """The middle of one utterance, as 16-bit samples.

    Parameters
    ----------
    reader : PackedReader
        The sound.
    index : int
        Which utterance.
    wanted : int
        How many samples.
    repeat_short : bool
        Whether one that has fewer is repeated.
    """
    import numpy as np

    from utils.audio import to_int16

    available = int(reader.num_samples[index])
    start = max(0, available - wanted) // 2
    samples = to_int16(reader.read(index, start, min(wanted, available)))
    return np.resize(samples, wanted) if repeat_short else samples


def write_ledger(packed: Path, output: Path, utterances: int) -> Path:
    """Write ``ledger.json``: all that came in went on, and trials that were lost before stay lost.

    Parameters
    ----------
    packed, output : path
        Data directories.
    utterances : int
        How many.

    Returns
    -------
    path
        What was written.
    """
    from utils.files import atomic_write

    lost = lost_trials_of(packed)
    facts = {"came_in": utterances, "went_on": utterances}
    if lost:
        facts["lost_trials"] = lost
    with atomic_write(output / "ledger.json") as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    return output / "ledger.json"


if __name__ == "__main__":
    run(cut_audio)
