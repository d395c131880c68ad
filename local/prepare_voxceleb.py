"""Make data directories and trials of VoxCeleb 1 and 2.

    python -m local.prepare_voxceleb corpora/voxceleb1 data/vox2dev --voxceleb2 corpora/voxceleb2 \\
        --tests "[vox1_o, vox1_o_cleaned]"

Sets: train, dev (speakers held out of training), test (all files in lists of trials), and for each
list tests/<list>; tests/dev too.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any, Literal

from local.corpus import path_from_checkout
from local.prepare_noise import prepare_bank
from local.voxceleb.lists import LISTS, refuse_leakage
from local.voxceleb.meta import Speakers, find_file, read_speakers
from local.voxceleb.trees import find_utterances, speaker_folders
from utils.cli import run
from utils.errors import UserError, WrongArguments
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
        Gets the data directories, ``durations`` (measurements) and ``missing`` (missing files and
        speakers).
    voxceleb2 : path or None
        The same of VoxCeleb2; not used unless it is trained on.
    training : str
        Dev part of VoxCeleb2, of VoxCeleb1, or both.
    train_list : path or None
        Train on these files only: a list in the format of voxceleb_trainer or of VGG.
    tests : list of str or None
        Lists of trials: vox1_o, vox1_e, vox1_h, and each with ``_cleaned``; None: all six with
        vox2dev, else both of O.
    test_set : str
        Name of the data directory with all files of the lists; give another choice of lists another
        name to keep both.
    lists : path or None
        Folder with the lists of trials, vox1_meta.csv and vox2_meta.csv; the folders of the corpora
        are searched too.
    dev_speakers : int or None
        Speakers held out; None: 40, or, of fewer than 400, a tenth and at least 2; 0: none, as in
        the papers.
    seed : int
        For the dev speakers and their trials.
    musan, rirs : path or None
        Trees of noises (MUSAN) and of room impulse responses (RIRS_NOISES); see
        `local.prepare_noise.prepare_bank`.
    allow_incomplete : bool
        Accept a part of the corpora; trials with missing files are lost, and every result says so.
    allow_leakage : bool
        Accept the lists E and H although VoxCeleb1 dev, with the same speakers, is trained on.
    jobs : int
        Processes that read headers.

    Returns
    -------
    dict
        Set -> counts of utterances, speakers and trials.

    Raises
    ------
    UserError
        A corpus or list is missing, incomplete or not the published one, or test speakers would be
        trained on.
    """
    if not tests:
        tests = [
            name for name in LISTS if training == "vox2dev" or not LISTS[name].uses_dev_speakers
        ]
    tests = list(tests)
    roots = {"voxceleb1": voxceleb1}
    if voxceleb2 is not None:
        roots["voxceleb2"] = voxceleb2
    _check(roots, training, tests, allow_leakage, seed)
    if dev_speakers is not None and (dev_speakers == 1 or dev_speakers < 0):
        raise UserError(
            f"--dev-speakers is {dev_speakers}, expected 2 or more, or 0 for no dev set; one "
            "speaker has no nontarget trials"
        )
    speakers = read_speakers([lists, voxceleb1, voxceleb2])
    paths = _find_lists(tests, lists, voxceleb1, speakers, jobs)
    counts = prepare_bank(output, musan, rirs)
    corpora = dict.fromkeys(("voxceleb1", *TRAINING[training]))
    used = {corpus: roots[corpus] for corpus in corpora}
    options: dict[str, Any] = {}
    for corpus, root in used.items():
        options[corpus] = f"{path_from_checkout(root)} {_digest(root)}"
    options |= {"allow_incomplete": allow_incomplete, "seed": seed}
    train_options = options | {"training": training, "dev_speakers": dev_speakers}
    train_inputs = dict(speakers.files)
    if train_list:
        train_inputs["train_list"] = train_list
    make = partial(Task, format=FORMAT)
    tasks = {}
    for name in ("train", "dev", "tests/dev"):
        if name == "train" or dev_speakers != 0:
            tasks[name] = make(output / name, "made", inputs=train_inputs, options=train_options)
    all_lists = dict(speakers.files) | paths
    test_options = options | {"tests": tests}
    tasks[test_set] = make(output / test_set, "made", inputs=all_lists, options=test_options)
    for name, path in paths.items():
        inputs = dict(speakers.files) | {name: path}
        tasks[f"tests/{name}"] = make(
            output / "tests" / name, "made", inputs=inputs, options=options
        )
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
    for name, task in tasks.items():
        counts[name] = task.counts
    return counts


def _find_lists(
    tests: list[str], lists: Path | None, voxceleb1: Path, speakers: Speakers, jobs: int
) -> dict[str, Path]:
    """The files of the lists of trials."""
    paths = {}
    for name in tests:
        path = find_file(LISTS[name].names, [lists, voxceleb1])
        if path is None:
            find_utterances(voxceleb1, "voxceleb1", speakers, jobs)  # a wrong folder is reported
            raise UserError(
                f"{lists or voxceleb1}: no {LISTS[name].names[0]}, expected it with the trials of "
                f"{name}; fetch it from VoxCeleb's site and give its folder as --lists, or leave "
                "that list out of --tests"
            )
        paths[name] = path
    return paths


def _check(
    roots: dict[str, Path], training: str, tests: list[str], allow_leakage: bool, seed: int
) -> None:
    for name in tests:
        if name not in LISTS or tests.count(name) > 1:
            raise UserError(f"--tests: '{name}', expected some of {', '.join(LISTS)}, each once")
    if "voxceleb2" in TRAINING[training] and "voxceleb2" not in roots:
        raise WrongArguments(
            f"--training is {training}, but --voxceleb2 is not given; give it, or --training "
            "vox1dev"
        )
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    trains_on_dev = "voxceleb1" in TRAINING[training]
    refuse_leakage(tests, trains_on_dev, f"--training {training}", allow_leakage)


def _digest(root: Path) -> str:
    return hashlib.sha256("\n".join(speaker_folders(root)).encode()).hexdigest()[:16]


if __name__ == "__main__":
    import gc

    gc.disable()  # each collection would walk lists of millions of strings, without garbage
    run(prepare_voxceleb)
