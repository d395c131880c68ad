"""Make data directories and trials of VoxCeleb 1 and 2.

    python -m local.prepare_voxceleb corpora/voxceleb1 data/vox2dev --voxceleb2 corpora/voxceleb2 --tests "[vox1_o, vox1_o_cleaned]"

Sets: train, dev (speakers held out of the training), test (every file that a list of trials names), and for each list tests/<list>, tests/dev too.
"""

import hashlib
from pathlib import Path
from typing import Literal

from local.corpus import path_from_checkout
from local.prepare_noise import prepare_bank
from local.voxceleb.lists import LISTS, refuse_heard
from local.voxceleb.meta import Speakers, find_file, read_speakers
from local.voxceleb.trees import find_utterances, speaker_folders
from utils.cli import run
from utils.errors import UserError
from utils.receipts import Task

FORMAT = 1
TRAINING = {
    "vox2dev": ("voxceleb2",),
    "vox1dev": ("voxceleb1",),
    "both": ("voxceleb1", "voxceleb2"),
}


def prepare_voxceleb(
    voxceleb1: Path,
    output: Path,
    *,
    voxceleb2: Path | None = None,
    training: Literal["vox2dev", "vox1dev", "both"] = "vox2dev",
    train_list: Path | None = None,
    tests: list[str] | None = None,
    test_set: str = "test",
    lists: Path | None = None,
    dev_speakers: int | None = None,
    seed: int = 1,
    musan: Path | None = None,
    rirs: Path | None = None,
    allow_incomplete: bool = False,
    allow_leakage: bool = False,
    jobs: int = 2,
) -> dict:
    """Find the files of both corpora, hold out dev speakers, and read the lists of trials.

    Parameters
    ----------
    voxceleb1 : path
        Folder with the corpus at any depth; nothing is written there.
    output : path
        Gets the data directories, ``durations`` (what has been measured) and ``missing`` (what isn't there).
    voxceleb2 : path or None
        The same of VoxCeleb2, which is not looked at where it is not trained on.
    training : str
        Dev part of VoxCeleb2, of VoxCeleb1, or both.
    train_list : path or None
        Of these files only: a list in the format of voxceleb_trainer or of VGG.
    tests : list of str or None
        Lists of trials: vox1_o, vox1_e, vox1_h, and each with ``_cleaned``; None: both of O, and where VoxCeleb1 dev was not trained on all six.
    test_set : str
        Name of the data directory of all files that the lists name: another choice of lists gets another name, and what is made of it stays.
    lists : path or None
        Folder with the lists of trials, vox1_meta.csv and vox2_meta.csv; they are looked for in the corpora's folders, too.
    dev_speakers : int or None
        Speakers held out; None: 40, or a tenth and at least 2 of fewer than 400; 0: none, the papers' number is trained on.
    seed : int
        Decides on dev speakers and their trials.
    musan, rirs : path or None
        Trees of noises (MUSAN) and of room responses (RIRS_NOISES); see `local.prepare_noise.prepare_bank`.
    allow_incomplete : bool
        Go on with a part of the corpora; trials whose files are missing are lost, which every result says.
    allow_leakage : bool
        Take the lists E and H although VoxCeleb1 dev, whose speakers they test, is trained on.
    jobs : int
        Processes that read headers.

    Returns
    -------
    dict
        Set -> counts of utterances, speakers and trials.

    Raises
    ------
    UserError
        A corpus is not there or incomplete, a list is another one or missing, speakers of the test would be trained on.
    """
    fitting = [
        name
        for name, published in LISTS.items()
        if training == "vox2dev" or not published.draws_on_dev
    ]
    tests = list(tests or fitting)
    roots = {"voxceleb1": voxceleb1}
    roots |= {"voxceleb2": voxceleb2} if voxceleb2 is not None else {}
    _check(roots, training, tests, allow_leakage, seed)
    if dev_speakers is not None and (dev_speakers == 1 or dev_speakers < 0):
        raise UserError(
            f"--dev-speakers is {dev_speakers}, expected 2 or more, or 0: none; one has no impostors"
        )
    speakers = read_speakers([lists, voxceleb1, voxceleb2])
    paths = _find_lists(tests, lists, voxceleb1, speakers, jobs)
    counts = prepare_bank(output, musan, rirs)
    used = {corpus: roots[corpus] for corpus in dict.fromkeys(("voxceleb1", *TRAINING[training]))}
    places = {
        corpus: f"{path_from_checkout(root)} {_digest(root)}" for corpus, root in used.items()
    }
    options = {**places, "allow_incomplete": allow_incomplete, "seed": seed}
    trained = options | {"training": training, "dev_speakers": dev_speakers}
    heard = dict(speakers.files) | ({"train_list": train_list} if train_list else {})
    tasks = {
        name: Task(output / name, "made", format=FORMAT, inputs=heard, options=trained)
        for name in ("train", *(() if dev_speakers == 0 else ("dev", "tests/dev")))
    }
    tasks[test_set] = Task(
        output / test_set,
        "made",
        format=FORMAT,
        inputs=dict(speakers.files) | paths,
        options=options | {"tests": tests},
    )
    tasks |= {
        f"tests/{name}": Task(
            output / "tests" / name,
            "made",
            format=FORMAT,
            inputs=dict(speakers.files) | {name: path},
            options=options,
        )
        for name, path in paths.items()
    }
    pending = {name: task for name, task in tasks.items() if not task.is_done()}
    if pending:
        from local.voxceleb.directories import Choice, make_sets

        choice = Choice(
            TRAINING[training],
            train_list,
            dev_speakers,
            seed,
            allow_incomplete,
            allow_leakage,
            jobs,
        )
        make_sets(pending, output, used, speakers, paths, choice)
    return counts | {name: task.counts for name, task in tasks.items()}


def _find_lists(
    tests: list[str], lists: Path | None, voxceleb1: Path, speakers: Speakers, jobs: int
) -> dict[str, Path]:
    """The files of the lists of trials."""
    paths = {}
    for name in tests:
        path = find_file(LISTS[name].names, [lists, voxceleb1])
        if path is None:
            find_utterances(voxceleb1, "voxceleb1", speakers, jobs)
            raise UserError(
                f"{lists or voxceleb1}: no {LISTS[name].names[0]}, which has the trials of {name}; fetch it from VoxCeleb's site and name "
                "its folder with --lists, or leave that list out of --tests"
            )
        paths[name] = path
    return paths


def _check(
    roots: dict[str, Path], training: str, tests: list[str], allow_leakage: bool, seed: int
) -> None:
    unknown = [name for name in tests if name not in LISTS]
    if unknown or len(set(tests)) < len(tests):
        raise UserError(
            f"--tests: '{(unknown or tests)[0]}', expected some of {', '.join(LISTS)}, each once"
        )
    if "voxceleb2" in TRAINING[training] and "voxceleb2" not in roots:
        raise UserError(
            f"--training is {training}, but --voxceleb2 is not given; give it, or --training vox1dev"
        )
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    refuse_heard(tests, "voxceleb1" in TRAINING[training], f"--training {training}", allow_leakage)


def _digest(root: Path) -> str:
    return hashlib.sha256("\n".join(speaker_folders(root)).encode()).hexdigest()[:16]


if __name__ == "__main__":
    import gc

    gc.disable()  # each collection would walk lists of millions of strings, among which there is no garbage
    run(prepare_voxceleb)
