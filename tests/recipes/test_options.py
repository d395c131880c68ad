"""A changed option makes stale exactly what depends on it, for all options of all recipes.

A letter for the --status of each stage of a finished run: d done, s stale, p partly done, n never
run.  Work that an option moves to another folder was never run there; it is partly done where some
of the experiment's own work is there (other sets, other back ends); what other experiments share
(the baselines) does not count.  How a changed option changes lists is only known once they are
made: until then all later stages count as stale.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.recipes.runs import TRAIN_NOTHING
from tests.recipes.test_front_door import options_of
from tests.tree import RECIPES
from utils.errors import UserError
from utils.plan.stages import examine

NAMES = [path.parent.name for path in RECIPES]
AT_LENGTH = [
    pytest.param(name, marks=[] if name in ("mini", "voices") else pytest.mark.long)
    for name in NAMES
]
LETTERS = {"done": "d", "stale": "s", "partly done": "p", "never run": "n"}
POLICY = "recipes/mini/conf/augmentation/copies.yaml"
PLDA, CORPORA, MOVED, RUNS = (
    "{runs}/corpora/tiny_plda.yaml",
    "{runs}/corpora",
    "{runs}/moved",
    "{runs}",
)

REFUSED = "refused"
NOTHING = "dddddddd"  # how it is run
VARIANT = "nnnnnnnn"  # other data
CUT = "ddnnnnnn"  # the same recordings, cut or sampled otherwise
# another network, never started, though outputs of the baselines are there
EXPERIMENT = "dddnnnnn"
NEW_LISTS = "ssssssss"  # the data directories are made again
LIMITS = "dsssssss"  # of what may be lost: VAD is collected again
SOURCES = "sdssssss"  # noise and rooms: nothing that VAD listens to
TRAINING, EXTRACTION, REPORT = "dddsssss", "ddddssss", "ddddddds"
BACKEND = "dddddpps"  # another back end beside the one that is there
SCORES = "ddddddps"  # other scores beside those that are there

# Option -> command line, and the letters of a finished run with it.
SHARED = {
    "stage": ("--stage 3", NOTHING),
    "stop_stage": ("--stop-stage 3", NOTHING),
    "nj": ("--nj 3", NOTHING),
    "cmd": ("--cmd slurm", NOTHING),
    "submit_all": ("--submit-all --cmd slurm", NOTHING),
    "cluster_conf": ("--cluster-conf conf/cluster/slurm.conf", NOTHING),
    "workdir": (f"--workdir {RUNS}/nowhere", VARIANT),
    "test_protocols": ("--test-protocols crops_10x4s_mean", "ddddpdps"),
    "vad": ("--vad conf/vad/energy.yaml", VARIANT),
    "trim": ("--trim true", CUT),
    "split": ("--split true", CUT),
    "channel": ("--channel 1", VARIANT),
    "sample_rate_hz": ("--sample-rate-hz 8000", REFUSED),  # the networks take another
    "augmentation": (f"--augmentation {POLICY}", EXPERIMENT),
    "override": ("--override optimizer.clip_norm=2", EXPERIMENT),
    "name": ("--name other", EXPERIMENT),
    "copies": (f"--copies {POLICY}", "ddpdppps"),  # of train, for the back end alone
    "backend": (f"--backend {PLDA}", BACKEND),
    "fuse": (f"--fuse --backend conf/backends/cosine.yaml,{PLDA}", BACKEND),
    "score_norm": ("--score-norm s_norm", SCORES),
    "calibrate": ("--calibrate true", SCORES),
    "top_k": ("--top-k 3", REFUSED),
    "cohort": ("--cohort head", REFUSED),  # without --score-norm
    "fuse_with": (f"--fuse-with {RUNS}/x", REFUSED),  # without --score-norm and --fuse
    "allow_leakage": ("--allow-leakage", REPORT),
    "max_unreadable_fraction": ("--max-unreadable-fraction 0.01", LIMITS),
    "max_policy_fraction": ("--max-policy-fraction 0.02", "ddssssss"),
    "allow_missing_trials": ("--allow-missing-trials", LIMITS),
    "operating_points": ("--operating-points 0.001", REPORT),
    "steps": ("--steps 4", TRAINING),
    "num_threads": ("--num-threads 1", TRAINING),  # sums depend on the threads
    "processes": ("--processes 2", NOTHING),
    "nodes": ("--nodes 2 --cmd slurm", NOTHING),
    "device": (
        "--device cuda",
        EXTRACTION,
    ),  # a trained network is the same wherever it was trained; the bytes of embeddings are not
    "status": ("--status", NOTHING),
    "dry_run": ("--dry-run", NOTHING),
    "verbose": ("--verbose --dry-run", NOTHING),
    "verify": ("--verify", NOTHING),
    "force": ("--force", NOTHING),
    "accept": ("--accept 3", NOTHING),
    "why": ("--why 3", NOTHING),
    "clean": ("--clean 3", NOTHING),
    "yes": ("--yes", NOTHING),
}
OF_RECIPE = {
    "mini": {
        "size": ("--size full", VARIANT),
        "seed": ("--seed 2", VARIANT),
        "config": ("--config conf/ecapa_512_cpu.yaml", EXPERIMENT),
    },
    "speechocean762": {
        "corpus": (f"--corpus {MOVED}/corpus", NEW_LISTS),
        "noise": (f"--noise {CORPORA}/rirs", SOURCES),
        "rirs": (f"--rirs {CORPORA}/noise", SOURCES),
        "simulate_rooms": ("--simulate-rooms", "pdssssss"),
        "copies": (f"--copies {CORPORA}/tiny_copies.yaml", "ddpdppps"),
        "fold": ("--fold 2", VARIANT),
        "seed": ("--seed 2", VARIANT),
        "config": ("--config conf/ecapa_512_cpu.yaml", EXPERIMENT),
    },
    "own": {
        "corpus": (f"--corpus {CORPORA}/corpus", VARIANT),
        "root": (f"--root {CORPORA}", NEW_LISTS),
        "columns": (
            '--columns {{"speaker":"who"}}',
            REFUSED,
        ),  # of a table, which this corpus is not
        "formats": ("--formats wav", VARIANT),
        "allow_pipes": ("--allow-pipes true", NEW_LISTS),
        "max_unreadable_fraction": ("--max-unreadable-fraction 0.01", NEW_LISTS),
        "max_policy_fraction": ("--max-policy-fraction 0.02", NEW_LISTS),
        "allow_missing_trials": ("--allow-missing-trials", NEW_LISTS),
        "copies": (f"--copies {CORPORA}/tiny_copies.yaml", "ddpdppps"),
        "public_corpus": ("--public-corpus", REPORT),
        "model": (f"--model {RUNS}/speechocean762/exp/tiny", REFUSED),  # with options of a training
        "fine_tune": ("--fine-tune", REFUSED),  # without --model
        "own_domain": (f"--own-domain {CORPORA}", REFUSED),  # without --fine-tune
        "trials": (f"--trials {CORPORA}/tiny.yaml", VARIANT),  # not read before it is run
        "dev_share": ("--dev-share 0.2", VARIANT),
        "test_share": ("--test-share 0.3", VARIANT),
        "sessions": ("--sessions across", VARIANT),
        "enrol_utterances": ("--enrol-utterances 2", VARIANT),
        "targets_per_speaker": ("--targets-per-speaker 2", VARIANT),
        "noise": (f"--noise {CORPORA}/rirs", SOURCES),
        "rirs": (f"--rirs {CORPORA}/noise", SOURCES),
        "simulate_rooms": ("--simulate-rooms", "pdssssss"),
        "seed": ("--seed 2", VARIANT),
        "config": ("--config conf/ecapa_512_cpu.yaml", EXPERIMENT),
    },
    "vctk_ge2e": {
        "vctk": (f"--vctk {MOVED}/vctk", NEW_LISTS),
        "noisy_vctk": (f"--noisy-vctk {MOVED}/noisy_vctk", SOURCES),
        "mode": ("--mode ti", VARIANT),
        "protocol": ("--protocol seed", VARIANT),
        "mic": ("--mic 2", REFUSED),
        "top_db": ("--top-db 20", VARIANT),
        "dev_speakers": ("--dev-speakers 0", VARIANT),
        "allow_incomplete": ("--allow-incomplete", NEW_LISTS),
        "utterances": ("--utterances 1", "ddssssss"),
        "seed": ("--seed 2", VARIANT),
        "config": (f"--config {CORPORA}/other_ge2e.yaml", EXPERIMENT),
        # The first back end takes no mean away there, and now one does: the baselines follow it.
        "backend": (f"--backend {PLDA}", "dddddsss"),
        "fuse": (f"--fuse --backend conf/backends/cosine.yaml,{PLDA}", "dddddsss"),
        "sample_rate_hz": ("--sample-rate-hz 16000", REFUSED),
        "copies": ("--copies recipes/vctk_ge2e/conf/augmentation/copies.yaml", "ddpdppps"),
        **{name: (SHARED[name][0], REFUSED) for name in ("trim", "split")},
    },
    "voices": {
        "voices": (f"--voices {MOVED}/voices", NEW_LISTS),
        "set": ("--set eval", VARIANT),
        "model": (f"--model {RUNS}/mini/exp/ghostvlad_tiny-tiny", "dddnnnnn"),
        "name": ("--name other", "dddnnnnn"),
        "train_data": (f"--train-data {RUNS}/speechocean762/data/fold1/packed_16000/train", REPORT),
        "backend": (f"--backend {RUNS}/speechocean762/exp/tiny/backend/cosine", "ddddddns"),
        "test_seconds": ("--test-seconds 1", "ddddpdns"),
        "allow_incomplete": ("--allow-incomplete", NEW_LISTS),
        "num_threads": ("--num-threads 1", NOTHING),
        **{
            name: (SHARED[name][0], REFUSED)
            for name in (
                "split",
                "augmentation",
                "override",
                "copies",
                "steps",
                "processes",
                "nodes",
                "fuse",
                "score_norm",
                "calibrate",
            )
        },  # the last three: without --set both or --train-data
    },
    "voxceleb1": {
        "voxceleb1": (f"--voxceleb1 {MOVED}/voxceleb1", NEW_LISTS),
        "voxceleb2": (f"--voxceleb2 {MOVED}/voxceleb2", NEW_LISTS),
        "lists": (f"--lists {CORPORA}/voxceleb1", NOTHING),
        "musan": (f"--musan {CORPORA}/rirs", SOURCES),
        "rirs": (f"--rirs {CORPORA}/noise", SOURCES),
        "training": ("--training both", REFUSED),
        "train_list": (f"--train-list {RUNS}/some.txt", VARIANT),
        "tests": (
            "--tests vox1_o",
            "pppdsdss",
        ),  # the embeddings of a list come from those of all files, now of fewer
        "test_cuts": ("--test-cuts centre_2s", "ddddpdps"),
        "dev_speakers": ("--dev-speakers 2", VARIANT),
        "allow_incomplete": ("--allow-incomplete false", NEW_LISTS),
        "seed": ("--seed 2", VARIANT),
        # no baselines, so that nothing of stages 4 to 7 is shared
        "config": ("--config conf/ecapa_512_cpu.yaml", "dddnnnnn"),
        "augmentation": (f"--augmentation {POLICY}", "dddnnnnn"),
        "override": ("--override optimizer.clip_norm=2", "dddnnnnn"),
        "name": ("--name other", "dddnnnnn"),
        "copies": (f"--copies {CORPORA}/tiny_copies.yaml", "ddpdpnns"),
        "backend": (f"--backend {PLDA}", "dddddnns"),
    },
}
TABLE = {recipe: SHARED | OF_RECIPE[recipe] for recipe in NAMES}


def status_letters(runs, recipe: str, words: str) -> str:
    """--status of the finished run with these options: a letter a stage, - where it is empty."""
    moved, plan = runs.base / "moved", runs.base / f"{recipe}.plan"
    if not moved.exists():
        moved.symlink_to(runs.base / "corpora")
    if "{runs}/mini/" in words:
        runs.whole("mini")
    options = [
        *runs.options_of(recipe),
        "--workdir",
        runs.whole(recipe),
        *(word.format(runs=runs.base) for word in words.split()),
    ]
    plan.unlink(missing_ok=True)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SV_")
    } | {"SV_PLAN": str(plan)}
    script = ROOT / "recipes" / recipe / "run.sh"
    done = subprocess.run(
        [script, *map(str, options)],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    try:
        stages = examine(plan) if done.returncode == 0 else []
    except UserError as error:
        print(error)
        stages = []
    print(done.stderr, *(stage.line() for stage in stages), sep="\n")
    assert done.returncode in (0, 2)
    return "".join(LETTERS[stage.state] if stage.commands else "-" for stage in stages) or REFUSED


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_every_option_is_in_the_table(path):
    """But --doctor, which asks nothing about a recipe."""
    declared = options_of(path) + options_of(Path(ROOT, "utils", "stages.sh"))
    table = TABLE[path.parent.name]
    print(sorted(declared))
    assert len(declared) > 30
    assert sorted(set(declared) - table.keys()) == ["doctor"], (
        "add the option, a value, and what it makes of a finished run"
    )
    assert sorted(table.keys() - set(declared)) == []
    assert all(
        words.split()[0] == "--" + option.replace("_", "-") for option, (words, _) in table.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("recipe", AT_LENGTH)
def test_a_changed_option_makes_stale_exactly_what_depends_on_it(runs, recipe):
    wrong = {}
    for words, expected in TABLE[recipe].values():
        states = status_letters(runs, recipe, words)
        empty = [stage for stage, letter in enumerate(states) if letter == "-"]
        if states != REFUSED:
            expected = "".join(
                "-" if stage in empty else letter for stage, letter in enumerate(expected)
            )
            assert empty in ([], [3], [3, 5]) if recipe in TRAIN_NOTHING else not empty
        if states != expected:
            wrong[words] = f"expected {expected}, --status says {states}"
    assert wrong == {}
