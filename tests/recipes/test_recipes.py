"""Every recipe on its tiny corpus: whole, by stages, twice, and killed, with the same bytes."""

import json
import os
import random
import re
import signal
import time

import pytest

from tests.conftest import ROOT
from tests.recipes.runs import PATIENCE_SECONDS, TRAIN_NOTHING, contents, difference, run
from tests.tree import RECIPES

pytestmark = pytest.mark.slow
NAMES = [path.parent.name for path in RECIPES]
each_recipe = pytest.mark.parametrize("recipe", NAMES)


def each_recipe_at_length(*first):
    """Each recipe; all but the first ones are a part of the long proofs."""
    others = [pytest.param(name, marks=pytest.mark.long) for name in NAMES if name not in first]
    return pytest.mark.parametrize("recipe", [*first, *others])


def kill(process):
    """End a recipe and everything that it started, without warning."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.whole
@each_recipe
def test_the_whole_recipe_ends_with_error_rates_and_a_report(runs, recipe):
    workdir = runs.whole(recipe)
    print(f"{recipe}: {runs.seconds(recipe):.0f} s")
    experiment = next(path.parent for path in workdir.glob("exp/*/report.html"))
    rows = json.loads((experiment / "results.json").read_text())
    assert {row["test_set"] for row in rows} == runs.test_sets.get(recipe, {"dev", "test"})
    assert len({row["system"] for row in rows}) >= runs.systems.get(recipe, 3)
    assert all(0 <= row["eer_percent"] <= 100 for row in rows if row["subset"] == rows[0]["subset"])
    trained = {"config.yaml", "checkpoints"} if recipe not in TRAIN_NOTHING else set()
    assert {"embeddings", "backend", "scores"} | trained <= {
        path.name for path in experiment.iterdir()
    }
    assert "<svg" in (experiment / "report.html").read_text()


@pytest.mark.whole
@each_recipe
def test_nothing_that_counts_names_the_time_the_host_or_the_checkout(runs, recipe):
    workdir = runs.whole(recipe)
    lists = [
        workdir / name
        for name in contents(workdir)
        if name.endswith((".scp", ".json", ".scores", "trials", "utt2spk", "config.yaml"))
    ]
    assert len(lists) > (30 if recipe not in TRAIN_NOTHING else 15)
    named = [
        path
        for path in lists
        if str(ROOT) in path.read_text() or os.uname().nodename in path.read_text()
    ]
    assert named == []


@each_recipe_at_length("voices")
def test_every_stage_alone_gives_what_the_whole_gives(runs, recipe, tmp_path):
    for stage in range(8):
        text = runs.run(recipe, tmp_path, "--stage", stage, "--stop-stage", stage)
        started = re.findall(r"^== stage (\d): [a-z]", text, re.IGNORECASE | re.MULTILINE)
        assert started == [str(stage)], text
    assert difference(contents(runs.whole(recipe)), contents(tmp_path)) == []


@pytest.mark.whole
@each_recipe
def test_a_second_run_finds_nothing_to_do(runs, recipe):
    workdir = runs.whole(recipe)
    before = contents(workdir)
    started = time.monotonic()
    text = runs.run(recipe, workdir)
    seconds = time.monotonic() - started
    print(f"{recipe}: second run {seconds:.1f} s")
    assert "nothing to do" in text
    assert "report:" in text, "a second run shows the results again"
    assert difference(before, contents(workdir)) == []


@each_recipe_at_length("mini")
def test_killed_anywhere_and_repeated_it_ends_with_the_same_bytes(runs, recipe, tmp_path):
    moments, seconds = random.Random(f"{recipe} 1"), runs.seconds(recipe)
    for _ in range(4):
        process = runs.start(recipe, tmp_path)
        time.sleep(seconds * moments.uniform(0.05, 0.4))
        kill(process)
        print(
            "killed with",
            [
                path.parent.parent.name + "/" + path.name
                for path in tmp_path.rglob("receipts/*.json")
            ][-1:],
            "as the last receipt",
        )
    runs.run(recipe, tmp_path)
    assert difference(contents(runs.whole(recipe)), contents(tmp_path)) == []


@pytest.mark.long
def test_killed_in_training_it_goes_on_from_the_newest_checkpoint(runs, tmp_path):
    process = runs.start("speechocean762", tmp_path)
    wait_for(tmp_path / "exp" / "tiny" / "checkpoints" / "step-0000006.pt", process)
    kill(process)
    assert not (tmp_path / "exp" / "tiny" / "receipts" / "train.json").exists(), "killed too late"
    training = runs.run("speechocean762", tmp_path).partition("== stage 3")[2]
    begun = re.findall(r"resuming from step (\d+) of 12", training)
    shown = [int(step) for step in re.findall(r"step (\d+) of 12, loss", training)]
    print("begun at", begun, "shown", shown)
    assert len(begun) == 1
    assert 6 <= int(begun[0]) <= min(shown), "no step before the checkpoint was made again"
    assert difference(contents(runs.whole("speechocean762")), contents(tmp_path)) == []


def wait_for(path, process):
    """Until a process has made a file."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert process.poll() is None, "ended before it made " + path.name
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.long
def test_two_training_processes_give_a_recipe_that_is_done(runs, tmp_path):
    text = runs.run("speechocean762", tmp_path, "--processes", 2)
    assert "report:" in text
    assert "nothing to do" in runs.run("speechocean762", tmp_path, "--processes", 2)


def test_relative_paths_are_the_callers(runs, tmp_path):
    """From another folder, with relative paths, and the run.sh of the recipe as well."""
    corpora = runs.base / "corpora"
    (tmp_path / "corpora").symlink_to(corpora)
    text = runs.run(
        "speechocean762", "here", "--corpus", "corpora/corpus", "--stop-stage", "1", cwd=tmp_path
    )
    assert "== stage 1" in text
    made = contents(tmp_path / "here")
    entries = (tmp_path / "here" / "data" / "fold1" / "test" / "wav.scp").read_text().split()
    assert all(entry.startswith("/") for entry in entries[1::2]), (
        "outside the checkout paths are absolute"
    )
    assert {name for name in made if name.endswith("vad.scp")} == {
        f"data/fold1/{name}/vad.scp" for name in ("train", "dev", "test")
    }
    assert "done" in runs.run(
        "speechocean762", tmp_path / "here", "--corpus", "corpora/corpus", "--status", cwd=tmp_path
    )


def test_the_sound_options_make_variants_of_their_own_and_leave_the_others_as_they_are(
    runs, tmp_path
):
    """Energy VAD, split, another augmentation and copies, beside the folders of the default."""
    policy = "recipes/mini/conf/augmentation/copies.yaml"
    text = runs.run(
        "mini",
        tmp_path,
        "--vad",
        "conf/vad/energy.yaml",
        "--split",
        "true",
        "--augmentation",
        policy,
        "--copies",
        policy,
        cwd=ROOT,
    )
    packed = tmp_path / "data" / "tiny-energy" / "packed_16000_split"
    pieces = (packed / "train" / "utt2original").read_text().split()[1::2]
    copies = (packed / "train_copies" / "utt2uniq").read_text().split("\n")[:-1]
    print(
        f"{len(set(pieces))} utterances, {len(pieces)} pieces, "
        f"{len(copies)} with four copies of each"
    )
    assert len(pieces) > len(set(pieces)), "some utterance contains more than one stretch of speech"
    assert len(copies) == 5 * len(pieces)
    experiment = tmp_path / "exp" / "ghostvlad_tiny-tiny-energy-split-copies"
    rows = json.loads((experiment / "results.json").read_text())
    assert {row["backend"] for row in rows if row["system"] == experiment.name} == {"cosine_copies"}
    provenance = json.loads(
        (experiment / "embeddings" / "train_copies" / "provenance.json").read_text()
    )
    of_test = json.loads((experiment / "embeddings" / "test" / "provenance.json").read_text())
    assert (provenance["vad"], of_test["vad"]) == ("split when packed", "none")
    assert "copies" in provenance["augmentation"]
    assert "Sound" in (experiment / "report.html").read_text()
    assert "never run" in runs.run("mini", tmp_path, "--status"), (
        "the default variant is another one"
    )
    assert "report:" in text


@pytest.mark.parametrize(
    "recipe", ["mini", "speechocean762"]
)  # their dev sets are large enough to learn from
def test_scores_are_normalised_calibrated_and_fused_by_options(runs, recipe, tmp_path):
    """Stages 5 to 7 of a finished run again, with two back ends; earlier scores stay in the report.

    Such tiny networks may rank targets below nontargets, which a calibration of one system's
    scores refuses, but not one with quality measures.
    """
    workdir = runs.copy(recipe, tmp_path)
    options = [
        "--backend",
        f"conf/backends/cosine.yaml,{runs.base / 'corpora' / 'tiny_plda.yaml'}",
        "--score-norm",
        "s_norm",
        "--calibrate",
        "quality",
        "--fuse",
        "--operating-points",
        "0.001,0.01:10:1",
    ]
    text = runs.run(recipe, workdir, *options, cwd=ROOT)
    assert "stage 4: extract embeddings: done already" in text
    assert re.search(r"trials has only \d+ speakers: for others the ratios may be", text)
    assert "speakers of the cohort are in the network's training, which is normal" in text
    experiment = next(path.parent for path in workdir.glob("exp/*/report.html"))
    rows = [
        row
        for row in json.loads((experiment / "results.json").read_text())
        if row["subset"] == "all" and row["system"] == experiment.name
    ]
    of_set = {
        name: {row["backend"]: row for row in rows if row["test_set"] == name}
        for name in ("dev", "test")
    }
    ranked = {"cosine", "cosine_s_norm", "tiny_plda", "tiny_plda_s_norm"}
    assert set(of_set["dev"]) == ranked, (
        "dev trials taught the calibration, which is not tried on them"
    )
    assert set(of_set["test"]) == ranked | {
        "cosine_s_norm_quality",
        "tiny_plda_s_norm_quality",
        "fused",
    }
    for name, row in of_set["test"].items():
        declared = name not in ranked
        assert (row["cllr"] is not None) == (row["act_dcf_0.01:10:1"] is not None) == declared, name
        assert row["cllr_interval"] is None or declared  # few speakers have none
        assert row["min_dcf_0.001"] is not None
    assert json.loads((experiment / "calibration" / "fused" / "calibration.json").read_text())[
        "measures"
    ] == ["dur", "norm"]
    assert "<h3>Calibration</h3>" in (experiment / "report.html").read_text()
    assert "nothing to do" in runs.run(recipe, workdir, *options, cwd=ROOT)
    planned = runs.run(
        recipe,
        workdir,
        *options[:2],
        "--calibrate",
        "--fuse-with",
        tmp_path / "other",
        "--fuse",
        "--dry-run",
        "--verbose",
        cwd=ROOT,
        code=1,
    )
    assert f"missing: --fuse-with {tmp_path}/other: no such file or folder" in planned
    assert f"{experiment}/scores/test/cosine_calibrated.scores" in planned
    assert (
        f" {experiment}/scores/dev/tiny_plda.scores {tmp_path}/other/scores/dev/tiny_plda.scores "
        in planned
    )


@pytest.mark.parametrize("recipe", ["own", "voxceleb1"])
def test_scores_of_two_back_ends_are_normalised_on_other_corpora_too(runs, recipe, tmp_path):
    workdir = runs.copy(recipe, tmp_path)
    backends = f"conf/backends/cosine.yaml,{runs.base / 'corpora' / 'tiny_plda.yaml'}"
    runs.run(recipe, workdir, "--backend", backends, "--score-norm", "s_norm", cwd=ROOT)
    experiment = next(path.parent for path in workdir.glob("exp/*/report.html"))
    rows = [
        row
        for row in json.loads((experiment / "results.json").read_text())
        if row["subset"] == "all" and row["system"] == experiment.name
    ]
    for name in runs.test_sets.get(recipe, {"dev", "test"}):
        assert {row["backend"] for row in rows if row["test_set"] == name} == {
            "cosine",
            "cosine_s_norm",
            "tiny_plda",
            "tiny_plda_s_norm",
        }


@pytest.mark.long
def test_rooms_are_simulated_where_none_are_at_hand(runs, tmp_path):
    text = run(
        "speechocean762",
        "--corpus",
        runs.base / "corpora" / "corpus",
        "--workdir",
        tmp_path,
        "--simulate-rooms",
        "true",
        "--config",
        runs.base / "corpora" / "tiny.yaml",
        "--stop-stage",
        "2",
    )
    assert "== stage 2" in text
    bank = tmp_path / "data" / "fold1" / "packed_16000" / "bank"
    assert len((bank / "rirs.scp").read_text().splitlines()) == 300
    assert not (bank / "noise.scp").exists()
