"""Compute features and write them as Kaldi's matrices: one job of the array.

    python -m steps.make_feats data/full/packed_16000/train conf/feats/fbank80.yaml --job 1/4

steps.collect_feats merges the parts into feats.scp, for Kaldi, and for networks with the front end
``precomputed``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.audio import Channel, UtteranceReader
from utils.cli import run
from utils.config import read_yaml
from utils.errors import UnreadableAudio, UserError
from utils.files import atomic_write
from utils.receipts import Task, Values, data_dir_inputs

if TYPE_CHECKING:
    import numpy as np

    from utils.data_dir.ledger import Ledger
    from utils.features.base import FrontEnd

FORMAT = 1
LISTS = ("wav.scp", "utt2spk", "segments")


def make_feats(
    data: Path,
    config: Path,
    *,
    compress: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 1,
    channel: Channel = 0,
    allow_pipes: bool = False,
    root: Path | None = None,
    allow_missing_trials: bool = False,
    job: str = "1/1",
) -> dict:
    """Write the features of one job's utterances, without use of voice activity decisions.

    Parameters
    ----------
    data : path
        Data directory, packed or not; writes ``feats/feats.J.{ark,scp,num_frames,dropped,json}``.
    config : path
        YAML of a front end: its name and options, as in conf/feats/.
    compress : bool
        Write Kaldi's compressed matrices: a quarter of the size, with the loss that Kaldi's recipes
        accept.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; fixed, since sums depend on their number.
    channel : int or "mean"
        Channel to read, from 0, or the mean of all; of mono audio always the only one.
    allow_pipes : bool
        Run the commands that wav.scp may hold.
    root : path or None
        Folder that relative paths in wav.scp start from.
    allow_missing_trials : bool
        Drop utterances even if trials name them.
    job : str
        ``3/8``: the third of eight parts.

    Returns
    -------
    dict
        The ledger's counts, and frames.

    Raises
    ------
    UserError
        The YAML is wrong, the audio has another rate than the front end, or an utterance of the
        trials is unreadable.
    """
    home, part, options = data / "feats", job.partition("/")[0], read_yaml(config)

    def resolve() -> Mapping:
        return _resolved(options) or options

    task = Task(
        home,
        "make_feats",
        job=job,
        format=FORMAT,
        inputs=data_dir_inputs(data, *LISTS),
        expensive=True,
        options={
            "front_end": options,
            "compress": compress,
            "device": device,
            "num_threads": num_threads,
            "channel": channel,
            "root": root,
        },
        values={"option front_end": Values(now=resolve, before=_resolved)},
    )
    if task.is_done():
        return task.counts
    from utils.archive import ArchiveWriter
    from utils.data_dir import job_utterances, read_data_dir, write_map
    from utils.data_dir.ledger import Ledger, utterances_in_trials
    from utils.features.offline import build_fixed_front_end
    from utils.torch_device import use_device

    front_end, description = build_fixed_front_end(options, str(config))
    use_device(device, num_threads)
    front_end.to(device)
    lists = read_data_dir(data, allow_pipes=allow_pipes, needs_audio=True)
    reader = UtteranceReader(
        lists.wav_scp, lists.segments, allow_pipes=allow_pipes, root=root, channel=channel
    )
    ledger = Ledger(data, utterances_in_trials(data), allow_missing_trials)
    maker = _FeatureMaker(data, reader, front_end, device, ledger)
    num_frames: dict[str, int] = {}
    with ArchiveWriter(home / f"feats.{part}.ark", home / f"feats.{part}.scp") as writer:
        write = writer.write_compressed if compress else writer.write
        for utterance in job_utterances(lists.utt2spk, job):
            features = maker.make(utterance)
            if features is None:
                continue
            write(utterance, features)
            ledger.keep(utterance)
            num_frames[utterance] = len(features)
    write_map(home / f"feats.{part}.num_frames", num_frames)
    ledger.write_part(home / f"feats.{part}.dropped")
    with atomic_write(home / f"feats.{part}.json") as file:
        json.dump(description | {"compressed": compress}, file, indent=1)
    files = [home / f"feats.{part}.{suffix}" for suffix in ("num_frames", "dropped", "json")]
    written = [writer, *files]
    return task.finish(written, {**ledger.counts, "frames": sum(num_frames.values())})


def _resolved(options: object) -> dict | None:
    """A front end with its defaults filled in; None if it is unknown."""
    from utils.config import resolved_options
    from utils.features.registry import FRONT_ENDS

    if not isinstance(options, dict) or options.get("name") not in FRONT_ENDS:
        return None
    return resolved_options(FRONT_ENDS, options)


@dataclass(frozen=True)
class _FeatureMaker:
    """Makes the features of utterances; `front_end` is on the device."""

    data: Path
    reader: UtteranceReader
    front_end: "FrontEnd"
    device: str
    ledger: "Ledger"

    def make(self, utterance: str) -> "np.ndarray | None":
        """(T, F) features of an utterance; None: it is dropped."""
        from utils.data_dir.ledger import POLICY, UNREADABLE
        from utils.features.offline import compute_features

        try:
            samples, rate = self.reader.read(utterance)
        except UnreadableAudio as error:
            self.ledger.drop(utterance, UNREADABLE, error.reason)
            return None
        expected_hz = self.front_end.sample_rate_hz
        if rate != expected_hz:
            raise UserError(
                f"{self.data}: '{utterance}' has a rate of {rate} Hz, "
                f"the front end takes {expected_hz} Hz; "
                "pack the audio at that rate (stage 2), or set sample_rate_hz in the YAML"
            )
        features = compute_features(self.front_end, samples, self.device)
        if not len(features):
            detail = f"{len(samples) / rate:.2f} s are too short for a frame"
            self.ledger.drop(utterance, POLICY + "short", detail)
            return None
        return features


if __name__ == "__main__":
    run(make_feats)
