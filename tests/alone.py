"""Commands that no recipe runs, for `python -m tests.fail_points --alone`.

Each runs on files of the tiny recipe, or on inputs that are made here.
"""

import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from local.download.table import DOWNLOADS, Archive, Download
from tests.fail_point_hooks import WRITING
from tests.forked_steps import ForkedRecipe, Step, planned
from tests.lookalike.vctk import make_noisy_vctk
from tests.published_files import save_as
from tests.published_networks import make_published
from tests.published_weights import read_published
from utils.pretrained.published import PUBLISHED

OPTIONS = (
    "--size",
    "tiny",
    "--calibrate",
    "true",
    "--num-threads",
    "1",
)  # of the recipe that runs first
# In this order, since some take the outputs of others.  {packed}, {exp}, {untrained}: of the
# recipe; {made}: of `make_inputs`; {new}: of this list.
COMMANDS = """
utils.data_dir copy {packed}/dev {new}/dev --utt-prefix x- --spk-prefix x-
utils.data_dir subset {packed}/train {new}/subset --per-speaker 1
utils.data_dir split {packed}/train {new}/split --parts 2 --by-speaker
utils.data_dir combine {packed}/train {packed}/dev {new}/combined
utils.data_dir fix {new}/broken
utils.data_dir export-audio {packed}/test {new}/recordings
steps.make_feats {new}/dev conf/feats/fbank80.yaml --job 1/2
steps.make_feats {new}/dev conf/feats/fbank80.yaml --job 2/2
steps.collect_feats {new}/dev --jobs 2
steps.cut_audio {packed}/test {new}/cut --seconds 1
steps.cut_audio {packed}/test {new}/cut --seconds 0.5 --force
steps.decide {exp}/scores/test/cosine_calibrated.scores {new}/decisions/cosine
steps.compare {packed} {new}/compared --experiments "[{exp}, {untrained}]" --scorers "[cosine]" \
  --sets "[test]" --replicates 10
steps.judge_fine_tuning {exp} {new}/compared
steps.cross_calibrate {exp}/scores/test/cosine.scores {exp}/scores/test/cosine_calibrated.scores \
  {packed}/test/trials {new}/crossed.scores --utt2spk {packed}/test/utt2spk --folds 4
steps.evaluate_scores {exp}/scores/test/cosine.scores {new}/crossed.scores {packed}/test/trials \
  {new}/foreign --utt2spk {packed}/test/utt2spk --replicates 10
steps.package {exp} {new}/model
steps.embed {exp} {packed}/test {new}/embedded
steps.export_arrays {exp}/embeddings/test {new}/test.npz
steps.export_arrays {exp}/embeddings/test {new}/test.h5
steps.import_embeddings {new}/test.npz {new}/embeddings --kind arrays --utt2spk \
  {packed}/test/utt2spk
steps.export_kaldi {exp} {packed} {new}/kaldi --sets "[train, test]" --backend cosine
steps.import_kaldi {new}/kaldi {new}/from_kaldi --archives beside
steps.import_model {made}/published {new}/imported --kind ge2e_tf
steps.compare_runs {exp} {new}/imported {new}/compared_runs --replicates 10
utils.plan.accept {other_plan} 7
steps.train {packed}/train {packed}/dev recipes/mini/conf/ghostvlad_tiny.yaml {exp} --bank \
  {packed}/bank --num-threads 1 --steps 2 --seed 2 --force
utils.archive merge {exp}/embeddings/dev/xvector.scp {exp}/embeddings/test/xvector.scp {new}/all.ark
utils.archive relocate {exp}/embeddings/test/xvector.scp {new}/elsewhere.scp
local.prepare_noise {made}/noise {new}/noise
local.prepare_noisy_vctk {made}/noisy_vctk {new}/noisy_vctk
local.download musan {new}/corpora --url {site}
steps.fetch_pretrained resemblyzer {new}/published --from {made}/weights.pt
utils.plan.clean {plan} 7 {work} --yes true
"""
# Those that leave no receipt: their outputs appear whole, so that a second call may find them done.
WITHOUT_RECEIPT = (
    *("utils.", "local.download", "steps.fetch_pretrained"),
    *("steps.package", "steps.embed"),
)
# Why the others are not killed one by one.
NOTHING_TO_KILL = {
    **dict.fromkeys(
        (
            "steps.plan_fine_tuning",
            "steps.identify",
            "steps.compare_models",
            "steps.verify",
            "utils.config",
            "utils.archive check",
            "utils.archive head",
            "utils.archive diff",
            "utils.data_dir validate",
            "utils.evaluation.results table",
            "utils.plan status",
            "utils.plan verify",
            "utils.plan.why",
            "utils.plan.dry_run",
        ),
        "prints",
    ),
    **dict.fromkeys(
        ("utils.plan finished", "utils.locks.run_lock", "utils.launchers"),
        "locks and processes of a run, which tests.chaos kills",
    ),
    **dict.fromkeys(
        ("utils.launchers.task", "utils.plan.submit_all", "utils.launchers.nodes"),
        "jobs of a cluster, which its tests kill",
    ),
    "local.mini.espeak": "speaks to the process that started it",
    "utils.doctor": "measures the disk by files in a folder that it removes",
    "utils.foreign.child": "reads, for the process that started it",
    "steps.enrol": "replaces one file, which its own tests kill at each point",
    "steps.fit_threshold": "writes one file, which appears whole",
    "utils.requirements": "has pip install what is not there yet",
}


class Command(Step):
    """One of them; its stage is ``alone``."""

    @property
    def leaves_receipt(self) -> bool:
        """Whether a receipt proves it done."""
        return self.module == "utils.plan.accept" or not self.module.startswith(WITHOUT_RECEIPT)

    @property
    def kinds(self) -> tuple[str, ...]:
        """As of `Step`."""
        if self.module == "utils.plan.clean":
            return "before removal", "after removal"
        return super().kinds if self.leaves_receipt else WRITING

    def call(self) -> None:
        """Do it in this process, as ``python -m`` does."""
        sys.argv = [self.module, *self.words]
        runpy.run_module(self.module, run_name="__main__", alter_sys=True)


class ForkedCommands(ForkedRecipe):
    """The commands above in forks, in the workdir of a tiny recipe that is done.

    Parameters
    ----------
    workdir, folder : path
        As of `ForkedRecipe`; the first is made.
    site : str
        Address of the archive that `make_inputs` makes.
    """

    def __init__(self, workdir: Path, folder: Path, site: str):
        workdir.mkdir()
        super().__init__("mini", workdir, folder, *OPTIONS)
        for step in self.steps:
            assert self.run(step) == 0, self.log.read_text()
        names = {
            "packed": workdir / "data" / "tiny" / "packed_16000",
            "exp": workdir / "exp" / "ghostvlad_tiny-tiny",
            "made": folder / "made",
            "untrained": workdir / "exp" / "ghostvlad_tiny-tiny-untrained",
            "new": workdir / "data" / "new",
            "work": workdir,
            "site": site,
            "plan": folder / "plan",
            "other_plan": folder / "other_plan",
        }
        make_inputs(names["made"], names["packed"] / "test", names["new"])
        planned("mini", workdir, names["other_plan"], *OPTIONS, "--operating-points", "0.001")
        lines = [shlex.split(line.format(**names)) for line in COMMANDS.strip().splitlines()]
        self.steps = [Command("alone", module, words) for module, *words in lines]

    def resume(self, last: Step) -> int:
        """Run the same command again."""
        status = self.run(last)
        is_there = not last.leaves_receipt and "exists already" in self.log.read_text()
        return 0 if is_there else status


def make_inputs(made: Path, packed: Path, new: Path) -> None:
    """Make the inputs that the recipe lacks.

    Noises, the noisy VCTK, a published network, a damaged data directory, an archive to download.

    Parameters
    ----------
    made, new : path
        Folders to make; the second is in the workdir.
    packed : path
        Data directory.
    """
    sounds = np.random.default_rng(1).standard_normal((2, 8000))
    for name, sound in zip(("noise/a/one.wav", "noise/b/two.wav"), sounds, strict=True):
        (made / name).parent.mkdir(parents=True)
        soundfile.write(made / name, 0.1 * sound, 16000)
    make_noisy_vctk(made / "noisy_vctk", seconds=1.0)
    published = read_published("ge2e_tf")
    save_as(made / "published", published.state(), published.facts["saved_as"])
    (new / "broken").mkdir(parents=True)
    for name in ("wav.scp", "utt2spk", "utt2dur", "spk2utt"):
        lines = (packed / name).read_text().splitlines()
        (new / "broken" / name).write_text(
            "\r\n".join(reversed(lines)) + "\r\n" if name != "spk2utt" else lines[0] + "\n"
        )
    shutil.make_archive(str(made / "site" / "noise"), "zip", made / "noise")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the archive below a folder in place of those of the set musan; gives the address.

    The network resemblyzer is that of the file weights.pt in the folder, which is made here.

    Parameters
    ----------
    folder : path
        Of `make_inputs`.
    """
    (folder / "site").mkdir(parents=True)
    weights = save_as(folder / "weights.pt", read_published("ecapa_512").state(), "state_dict")
    network = make_published({"weights": weights.read_bytes()}, kind="wespeaker_ecapa")
    words = [
        sys.executable,
        "-u",
        "-m",
        "http.server",
        "0",
        "--bind",
        "127.0.0.1",
        "--directory",
        str(folder / "site"),
    ]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        address = f"http://127.0.0.1:{server.stdout.readline().split()[5]}"
        archive = Archive("noise.zip", address, None, "", "these tests")
        plain, DOWNLOADS["musan"] = (
            DOWNLOADS["musan"],
            Download("made here", "page", "free", (archive,)),
        )
        published, PUBLISHED["resemblyzer"] = PUBLISHED["resemblyzer"], network
        try:
            yield address
        finally:
            DOWNLOADS["musan"], PUBLISHED["resemblyzer"] = plain, published
            server.terminate()
