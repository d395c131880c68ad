"""Cut packed utterances to one length around their centre: to test, or train on, short utterances.

    python -m steps.cut_audio data/full/packed_16000/test data/full/packed_16000/test_2s --seconds 2

A test alone needs no copies: steps.extract has protocols for it (centre_2s).  The samples are
written again, at most 2 x rate x seconds bytes per utterance, so everything that reads packed
audio, Kaldi included, reads them.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from utils.cli import run
from utils.data_dir.ledger import count_lost_trials
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
    """Write a packed data directory of the same utterances, cut, with lists, trials and models.

    Parameters
    ----------
    packed : path
        Packed data directory (steps.collect_packed).
    output : path
        The new one: the archive ``packed.1.ark``, its lists and the ledger.
    seconds : float
        Length of every utterance.
    repeat_short : bool
        Repeat shorter utterances up to that length (MR-RawNet); otherwise they keep their length.

    Returns
    -------
    dict
        Number of ``utterances``, and of those that were ``shorter``.

    Raises
    ------
    UserError
        The length is less than a sample.
    """
    from utils.data_dir.formats import list_names

    task = Task(
        output,
        "made",
        format=FORMAT,
        inputs=data_dir_inputs(packed, "wav.scp", *list_names(packed)),
        expensive=True,
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
            samples = _cut_centre(reader, index, wanted, repeat_short)
            writer.write_wave(utterance, samples, reader.sample_rate_hz)
            num_samples[utterance] = len(samples)
    source.maps.pop("text", None)  # of whole utterances
    wav_scp = read_scp(output / "packed.1.scp")
    lists = packed_lists(source, wav_scp, num_samples, reader.sample_rate_hz, trimmed=True)
    write_data_dir(lists, output)
    ledger = _write_ledger(packed, output, len(num_samples))
    cut = f"cut to {seconds:g} s around the centre"
    if repeat_short:
        cut += ", short ones repeated"
    facts = write_sound_facts(packed, output, cut)
    written = [output / name for name in list_names(output)]
    counts = {"utterances": len(num_samples), "shorter": int((reader.num_samples < wanted).sum())}
    print(
        f"{output}: {counts['utterances']:,} utterances of {seconds:g} s; "
        f"{counts['shorter']:,} were shorter"
    )
    return task.finish([writer, *written, ledger, facts], counts)


def _cut_centre(
    reader: "PackedReader", index: int, wanted: int, repeat_short: bool
) -> "np.ndarray":
    """The `wanted` samples in the middle of an utterance, as 16-bit integers."""
    import numpy as np

    from utils.audio import to_int16

    available = int(reader.num_samples[index])
    start = max(0, available - wanted) // 2
    samples = to_int16(reader.read(index, start, min(wanted, available)))
    if repeat_short:
        return np.resize(samples, wanted)
    return samples


def _write_ledger(packed: Path, output: Path, utterances: int) -> Path:
    """Write ``ledger.json``: nothing is dropped, and trials that were lost before stay lost."""
    from utils.files import atomic_write

    lost = count_lost_trials(packed)
    facts = {"came_in": utterances, "went_on": utterances}
    if lost:
        facts["lost_trials"] = lost
    with atomic_write(output / "ledger.json") as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    return output / "ledger.json"


if __name__ == "__main__":
    run(cut_audio)
