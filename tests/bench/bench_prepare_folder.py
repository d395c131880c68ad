"""Time to make sets and trials of a million files without the disk: the listing is synthetic.

python -m tests.bench.bench_prepare_folder --speakers 6000 --files 180
"""

import resource
import tempfile
import time
from pathlib import Path

from local.own.tree import read_tree
from local.speaker_split import split_speakers
from steps.make_trials import make_trials
from utils.cli import run
from utils.data_dir import subset_data_dir, write_data_dir


def bench_prepare_folder(*, speakers: int = 6000, files: int = 180) -> None:
    """Read a listing, split the speakers, write the sets, and make trials.

    20 targets per test speaker, with ten nontargets each.

    Parameters
    ----------
    speakers : int
        Number of speakers.
    files : int
        Files per speaker, ten to a session.
    """
    listing = [
        (f"id{speaker:05d}/session{file // 10:03d}/{file % 10:05d}.wav", 32044)
        for speaker in range(speakers)
        for file in range(files)
    ]
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        corpus = read_tree(Path(folder), listing)
        print(f"{len(listing):,} files: read {time.monotonic() - start:.1f} s")
        corpus.data.maps["utt2dur"] = dict.fromkeys(corpus.data.utt2spk, "1.0000")
        sets = split_speakers(corpus.spk2sex, {}, 0.1, 0.2, 1)
        for name, members in sets.items():
            write_data_dir(subset_data_dir(corpus.data, speakers=members), Path(folder) / name)
        print(f"sets written after {time.monotonic() - start:.1f} s")
        make_trials(Path(folder) / "test", targets_per_speaker=20, sessions="across")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(
            f"trials after {time.monotonic() - start:.1f} s; peak {peak:.2f} GiB "
            "(goals: 120 s and 2 GiB)"
        )


if __name__ == "__main__":
    run(bench_prepare_folder)
