"""Compute features and write them as Kaldi's matrices, one part of the job array at a time.

    python -m steps.make_feats data/full/packed_16000/train conf/feats/fbank80.yaml --job 1/4

The data directory has its feats.scp when steps.collect_feats has merged the parts: for those who go on in Kaldi, and for networks with the front end
``precomputed``.
"""

import json
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
    """Write the features of one job's utterances, whole and in full: no voice activity decisions are applied.

    Parameters
    ----------
    data : path
        Data directory, packed or not; writes ``feats/feats.J.{ark,scp,num_frames,dropped,json}``.
    config : path
        YAML of a front end: its name and options, as in conf/feats/.
    compress : bool
        Kaldi's compressed matrices: a quarter of the disk space, with the loss that Kaldi's recipes take.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; fixed, since sums depend on it.
    channel : int or "mean"
        Of sound with several, from 0; ``mean``: all of them averaged.
    allow_pipes : bool
        Leave to run the commands that wav.scp may hold.
    root : path or None
        Folder that relative paths in wav.scp start from.
    allow_missing_trials : bool
        Leave to drop utterances that trials name.
    job : str
        ``3/8``: the third of eight parts.

    Returns
    -------
    dict
        The ledger's counts, and frames.

    Raises
    ------
    UserError
        The YAML is wrong, the sound has another rate than the front end, or an utterance of the trials is unreadable.
    """
    home, part, options = data / "feats", job.partition("/")[0], read_yaml(config)
    task = Task(
        home,
        "make_feats",
        job=job,
        format=FORMAT,
        inputs=data_dir_inputs(data, *LISTS),
        dear=True,
        options={
            "front_end": options,
            "compress": compress,
            "device": device,
            "num_threads": num_threads,
            "channel": channel,
            "root": root,
        },
        values={
            "option front_end": Values(now=lambda: _resolved(options) or options, before=_resolved)
        },
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
    maker = FeatureMaker(data, reader, front_end, device, ledger)
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
    written = [
        writer,
        *(home / f"feats.{part}.{suffix}" for suffix in ("num_frames", "dropped", "json")),
    ]
    return task.finish(written, {**ledger.counts, "frames": sum(num_frames.values())})


def _resolved(options: object) -> dict | None:
    """A front end with its defaults filled in; None of one that is not known."""
    from utils.config import resolved_options
    from utils.features.registry import FRONT_ENDS

    if not isinstance(options, dict) or options.get("name") not in FRONT_ENDS:
        return None
    return resolved_options(FRONT_ENDS, options)


@dataclass(frozen=True)
class FeatureMaker:
    """Makes the features of one utterance after the other.

    Parameters
    ----------
    data : path
        Data directory, for messages.
    reader : UtteranceReader
        Gives the sound.
    front_end : FrontEnd
        On the device.
    device : str
        Where they are computed.
    ledger : Ledger
        Takes the names of those that have none.
    """

    data: Path
    reader: UtteranceReader
    front_end: "FrontEnd"
    device: str
    ledger: "Ledger"

    def make(self, utterance: str) -> "np.ndarray | None":
        """Features of one utterance; None where it was dropped.

        Parameters
        ----------
        utterance : str
            Its name.
        """
        from utils.data_dir.ledger import POLICY, UNREADABLE
        from utils.features.offline import features_of

        try:
            samples, rate = self.reader.read(utterance)
        except UnreadableAudio as fault:
            self.ledger.drop(utterance, UNREADABLE, fault.reason)
            return None
        refuse_rate(self.data, utterance, rate, self.front_end.sample_rate_hz)
        features = features_of(self.front_end, samples, self.device)
        if not len(features):
            found = f"{len(samples) / rate:.2f} s are too short for a frame"
            self.ledger.drop(utterance, POLICY + "short", found)
            return None
        return features


def refuse_rate(data: Path, utterance: str, found_hz: int, expected_hz: int) -> None:
    """Refuse sound of another rate than the front end's.

    Parameters
    ----------
    data : path
        Data directory.
    utterance : str
        Whose sound it is.
    found_hz, expected_hz : int
        The two rates.

    Raises
    ------
    UserError
        They differ.
    """
    if found_hz != expected_hz:
        raise UserError(
            f"{data}: '{utterance}' has a rate of {found_hz} Hz, the front end takes {expected_hz} Hz; "
            "pack the audio at that rate (stage 2), or set sample_rate_hz in the YAML"
        )


if __name__ == "__main__":
    run(make_feats)
