"""Runs of the recipes on tiny corpora, and their outputs in a form that can be compared."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.conftest import ROOT
from tests.lookalike.own import make_tree
from tests.lookalike.speechocean762 import make_corpus
from tests.lookalike.vctk import make_noisy_vctk, make_vctk
from tests.lookalike.voices import make_voices
from tests.lookalike.voxceleb import make_voxceleb1, make_voxceleb2

MINUTES = 60
PATIENCE_SECONDS = 60 * MINUTES  # for a run that never ends; a slow machine is no failure
OWN_SPEAKERS = [f"speaker {number}" for number in range(10)]
# Times and hosts (docs/architecture.md, "Same bytes"), or hashes of lists that name the workdir; of
# checkpoints the tensors are compared.
NOT_COMPARED = {"receipts", "log", "tensorboard", "report.html", "timing.json", "begun.json"}
TRAIN_NOTHING = {"voices"}  # they take the network of another recipe
TINY_YAML = """
model: {name: ghostvlad, conv_channels: 4, bottleneck_channels: [2, 4, 4, 8],
        stage_channels: [4, 8, 8, 16], blocks: [1, 1, 1, 1], frame_channels: 16,
        embedding_dim: 16, front_end: {name: kaldi_fbank, num_mel_bins: 40}}
loss: {name: aam_softmax}
optimizer: {name: adam, learning_rate: 1e-3}
schedule: {name: cosine}
crops: {crop_seconds: 1.0, batch_size: 4}
augmentation: {chain: [{name: reverb, probability: 0.5}, {name: noise, probability: 0.5}]}
training: {steps: 12, validate_every_steps: 6, checkpoint_every_steps: 2, average_checkpoints: 2}
"""
# of a bank whose noises have one type
TINY_COPIES = "chain: [{name: one_of, of: [{name: reverb}, {name: noise, types: [noise]}]}]"
# more dimensions cannot be learned from a dozen vectors
TINY_PLDA_YAML = "{name: plda, links: [{name: mean}, {name: whiten, dim: 6}, {name: length_norm}]}"
TINY_GE2E = """
model: {name: ge2e_lstm, cells: 16, embedding_dim: 8, window_frames: 80}
loss: {name: ge2e}
optimizer: {name: sgd, learning_rate: 0.01, momentum: 0.0, clip_norm: 3.0}
schedule: {name: step_decay, every_steps: 10, factor: 0.5}
crops: {crop_seconds: 0.79, batches: {speakers: 3, utterances: 3}}
augmentation: {chain: [{name: noise, snr_db: recorded}]}
training: {steps: 12, validate_every_steps: 6, checkpoint_every_steps: 2}
"""


class Runs:
    """The tiny corpora, and one undisturbed run of each recipe, shared by all test processes."""

    def __init__(self, base: Path):
        self.base = base
        made = once(base / "corpora", make_corpora)
        trees = [f"--{name}={made / name}" for name in ("corpus", "noise", "rirs")]
        tiny = ["--config", str(made / "tiny.yaml")]
        voxceleb = [
            f"--voxceleb1={made / 'voxceleb1'}",
            f"--voxceleb2={made / 'voxceleb2'}",
            f"--musan={made / 'noise'}",
            f"--rirs={made / 'rirs'}",
            "--tests=vox1_o,vox1_e_cleaned",
            "--test-cuts=centre_1s",
            "--allow-incomplete",
        ]
        self.options = {
            "mini": ["--size", "tiny"],
            "speechocean762": [*trees, *tiny],
            "own": [f"--corpus={made / 'my corpus'}", *trees[1:], *tiny],
            "voxceleb1": [*voxceleb, *tiny],
            "vctk_ge2e": [
                f"--vctk={made / 'vctk'}",
                f"--noisy-vctk={made / 'noisy_vctk'}",
                f"--config={made / 'tiny_ge2e.yaml'}",
                "--utterances=2",
            ],
        }
        # Of recipes with other names than dev and test, and of those without baselines.
        self.test_sets = {
            "voices": {"voices_dev"},
            "voxceleb1": {"dev", "vox1_o", "vox1_e_cleaned"},
        }
        self.systems = {"voices": 1, "voxceleb1": 1}

    def options_of(self, recipe: str, model: Path | None = None) -> list[str]:
        """Options that a recipe needs; its trained network is this model, or speechocean762's."""
        if recipe == "voices":
            return [
                "--voices",
                str(self.base / "corpora" / "voices"),
                "--model",
                str(model or self.whole("speechocean762") / "exp" / "tiny"),
            ]
        return self.options[recipe]

    def run(self, recipe: str, workdir: Path, *options: str, **how) -> str:
        """Run a recipe on its tiny corpus; see `run`."""
        return run(recipe, *self.options_of(recipe), "--workdir", workdir, *options, **how)

    def start(self, recipe: str, workdir: Path, *options: str) -> subprocess.Popen:
        """Start it, to be killed."""
        return start(recipe, *self.options_of(recipe), "--workdir", workdir, *options)

    def whole(self, recipe: str) -> Path:
        """The workdir of the undisturbed run, not to be changed."""
        self.options_of(recipe)  # what it needs of other recipes is not of its time
        return once(self.base / recipe, lambda workdir: self.run(recipe, workdir))

    def seconds(self, recipe: str) -> float:
        """How long that took."""
        return float(self.whole(recipe).with_suffix(".made").read_text())

    def copy(self, recipe: str, folder: Path) -> Path:
        """A copy to spoil; its lists go on naming the audio of the original."""
        return Path(shutil.copytree(self.whole(recipe), folder / "copy"))


def make_corpora(folder: Path) -> None:
    """Make what the recipes need and do not make themselves."""
    make_corpus(folder / "corpus", num_speakers=20, utterances_per_speaker=3, seconds=1.2)
    make_tree(folder / "my corpus", OWN_SPEAKERS, flaws=["empty_file", "no_audio"])
    for part in ("dev", "eval"):
        make_voices(folder / "voices", part, seconds=1.2)
    make_voxceleb1(folder / "voxceleb1")
    make_voxceleb2(folder / "voxceleb2", seconds=1.2)
    random = np.random.default_rng(1)
    for name in ("noise/a.wav", "noise/b.wav", "rirs/room.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, 0.1 * random.standard_normal(16000), 16000)
    (folder / "tiny.yaml").write_text(TINY_YAML)
    (folder / "tiny_plda.yaml").write_text(TINY_PLDA_YAML)
    (folder / "tiny_copies.yaml").write_text(TINY_COPIES)
    make_vctk(
        folder / "vctk",
        num_speakers=14,
        sentences=6,
        seconds=1.3,
        flaws=["missing_text", "raw_file"],
    )
    make_noisy_vctk(folder / "noisy_vctk", seconds=1.0, flaws=["length"])
    for name in ("tiny_ge2e.yaml", "other_ge2e.yaml"):
        (folder / name).write_text(TINY_GE2E)


def start(
    recipe: str,
    *options: str,
    cwd: Path = ROOT,
    stdout: int = subprocess.DEVNULL,
    under: Sequence[str] = (),
) -> subprocess.Popen:
    """Start run.sh in a process group of its own.

    ``under`` is a command that runs it, such as ``prlimit --nofile=16``.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SV_")}
    words = [*under, str(ROOT / "run.sh"), "--recipe", recipe, *map(str, options)]
    return subprocess.Popen(
        words,
        cwd=cwd,
        env=clean,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_signals,
    )


def heed_signals() -> None:
    """Restore the default signals, which a test in the background or under nohup ignores."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def run(
    recipe: str, *options: str, cwd: Path = ROOT, code: int = 0, under: Sequence[str] = ()
) -> str:
    """Run run.sh to its end, check the exit code, and return what it printed on both streams."""
    process = start(recipe, *options, cwd=cwd, stdout=subprocess.PIPE, under=under)
    text, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code, (
        f"exit code {process.returncode}, expected {code}:\n{text[-3000:]}"
    )
    assert "Traceback" not in text, text[-3000:]
    return text


def last_line(text: str) -> str:
    """The last line that was printed."""
    return text.rstrip("\n").rpartition("\n")[2]


def contents(workdir: Path, copied_from: Path | None = None) -> dict[str, str]:
    """Path -> digest of all that has to be equal in two runs.

    The name of the workdir is taken out of the lists; of weights the tensors are compared.
    """

    def mapped(content):
        for root in filter(None, (workdir, copied_from)):
            content = content.replace(f"{root}/".encode(), b"<workdir>/")
        return digest(content)

    digests = {}
    for path in sorted(workdir.rglob("*")):
        name = str(path.relative_to(workdir))
        if path.is_file() and not NOT_COMPARED & set(path.relative_to(workdir).parts):
            digests[name] = tensors(path) if path.suffix == ".pt" else mapped(path.read_bytes())
    assert digests, f"{workdir}: nothing to compare"
    return digests


def digest(content: bytes) -> str:
    """Fingerprint of bytes."""
    return hashlib.sha256(content).hexdigest()


def tensors(path: Path) -> str:
    """Fingerprint of all values of a checkpoint, in their order."""
    import torch

    def described(value, name):
        if isinstance(value, dict):
            for key in value:
                yield from described(value[key], f"{name}/{key}")
        elif isinstance(value, (list, tuple)):
            for index, entry in enumerate(value):
                yield from described(entry, f"{name}/{index}")
        elif isinstance(value, torch.Tensor):
            content = value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
            yield f"{name} {value.dtype} {tuple(value.shape)} {digest(content)}"
        else:
            yield f"{name} {value!r}"

    return digest(
        "\n".join(described(torch.load(path, map_location="cpu", weights_only=True), "")).encode()
    )


def difference(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Paths that only one side has or whose contents differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Make a folder in the first of all test processes that asks for it; the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.with_suffix(".made").exists():
            started = time.monotonic()
            make(folder)
            folder.with_suffix(".made").write_text(f"{time.monotonic() - started:.1f}")
    return folder
