"""Extract embeddings of utterances, whole or by a test protocol, one part of the job array at a time.

    python -m steps.extract exp/ghostvlad_cpu data/full/packed_16000/test exp/ghostvlad_cpu/embeddings/test --job 1/2
    python -m steps.extract exp/ghostvlad_cpu data/full/packed_16000 exp/ghostvlad_cpu/embeddings --sets "[test]" --protocol crops_10x4s_mean

The folder is whole when steps.collect_embeddings has merged the parts.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.cli import run
from utils.config import read_yaml
from utils.embeddings.inputs import network_inputs, takes_features
from utils.embeddings.planned import network_of, note_embeddings, rate_of_packed
from utils.embeddings.protocol_base import Protocol
from utils.embeddings.protocols import natural_protocol, read_protocol
from utils.errors import UserError
from utils.files import atomic_write
from utils.packed.facts import augmentation_of, cut_of, vad_of
from utils.receipts import DONE, MODE, Task

if TYPE_CHECKING:
    from steps.models import EmbeddingNetwork
    from utils.features.base import FrontEnd

FORMAT = 1
USUAL_RATE_HZ = (
    16000  # of networks and of packed audio; another one is worth a look, which takes torch
)


def extract(
    experiment: Path,
    data: Path,
    output: Path,
    *,
    sets: list[str] | None = None,
    protocol: str | None = None,
    checkpoint: str = "average",
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 1,
    root: Path | None = None,
    job: str = "1/1",
) -> dict:
    """Embed the utterances of one job and write them as Kaldi archives.

    Parameters
    ----------
    experiment : path
        Folder made by steps.train.
    data : path
        Packed data directory, or the folder of those in ``sets``; with feats.scp for a network whose front end is ``precomputed``.
    output : path
        Folder of the embeddings, or of a folder for each of ``sets``; a ``protocol`` has a folder of its own in that.
    sets : list of str or None
        Names of data directories below ``data``, one after the other in one process; None: ``data`` itself.
    protocol : str or None
        Which pieces of an utterance are embedded: name of a file of conf/protocols, or path of another YAML.  None: whole utterances, or windows that
        overlap by 20 % where the network takes one length only.
    checkpoint : str
        ``average``, or the name of another file of checkpoints/, such as ``step-0000000`` for the untrained network.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; fixed, since sums depend on it.
    root : path or None
        Folder that relative paths in feats.scp start from.
    job : str
        ``3/8``: the third of eight parts.

    Returns
    -------
    dict
        Number of utterances.

    Raises
    ------
    UserError
        The experiment is unfinished, or its network does not take the data.
    """
    chosen = read_protocol(protocol) if protocol else None
    way = _Way(experiment, chosen, checkpoint, device, num_threads, root, job)
    if sets:
        of_protocol = chosen[0].name if chosen else ""
        totals = [_extract_set(way, data / name, output / name / of_protocol) for name in sets]
    else:
        totals = [_extract_set(way, data, output)]
    return {"utterances": sum(counts.get("utterances", 0) for counts in totals)}


@dataclass(frozen=True)
class _Way:
    """How the utterances of every set are embedded: the options of `extract`, and the protocol that they name."""

    experiment: Path
    chosen: tuple[Protocol, dict] | None
    checkpoint: str
    device: str
    num_threads: int
    root: Path | None
    job: str

    @property
    def options(self) -> dict:
        """What the receipt records of it."""
        options = {
            "checkpoint": self.checkpoint,
            "device": self.device,
            "num_threads": self.num_threads,
            "root": self.root,
        }
        return options | (self.chosen[1] if self.chosen else {})


def _extract_set(way: _Way, data: Path, output: Path) -> dict:
    """Embed one data directory's part; the number of its utterances."""
    config = way.experiment / "config.yaml"  # a plan may come before the training
    model = read_yaml(config)["model"] if config.exists() else {}
    inputs = {
        "model": way.experiment / "receipts" / "train.json",
        **network_inputs(data, model, "wav.scp", "utt2num_samples"),
    }
    task = Task(
        output,
        "extract",
        job=way.job,
        format=FORMAT,
        inputs=inputs,
        expensive=True,
        options=way.options,
    )
    note_embeddings(output, way.experiment, data)
    if MODE.checking and task.status().state != DONE:
        _refuse_planned(way, data)
    if task.is_done():
        return task.counts
    import torch

    from utils.archive import ArchiveWriter
    from utils.data_dir import job_utterances
    from utils.embeddings.inference import embed_utterances
    from utils.embeddings.inputs import open_inputs
    from utils.torch_device import use_device

    use_device(way.device, way.num_threads)
    # With its 10 bits the embedding of an utterance depends on its batch mates.
    torch.backends.cudnn.allow_tf32 = False
    network, facts = load_network(way.experiment, way.checkpoint)
    protocol = way.chosen[0] if way.chosen else natural_protocol(network)
    crops = ", utterances ".join(filter(None, (str(protocol), cut_of(data))))
    facts |= {"compare": protocol.compare} if protocol.compare != "all" else {}
    facts |= {"protocol": protocol.name, "crops": crops}
    facts |= _origin(data, network.front_end, way.experiment)
    keys, reader = open_inputs(data, network.front_end, way.root)
    mine = job_utterances(keys, way.job)
    place = {key: row for row, key in enumerate(keys)}
    embeddings = embed_utterances(
        network.to(way.device), reader, [place[key] for key in mine], protocol=protocol, keys=mine
    )
    part = way.job.partition("/")[0]
    with ArchiveWriter(output / f"xvector.{part}.ark", output / f"xvector.{part}.scp") as writer:
        for key, embedding in zip(mine, embeddings, strict=True):
            writer.write(key, embedding)
    provenance = output / f"provenance.{part}.json"
    with atomic_write(provenance) as file:
        json.dump(facts, file, indent=1)
    return task.finish([writer, provenance], {"utterances": len(mine)})


def _refuse_planned(way: _Way, data: Path) -> None:
    """Refuse a protocol, or a rate other than the usual, that the network cannot take, before anything is packed or trained."""
    section, rate = network_of(way.experiment), rate_of_packed(data)
    is_usual = rate in (None, USUAL_RATE_HZ) or takes_features(section or {})
    if section is None or (is_usual and way.chosen is None):
        return
    from steps.models import MODELS
    from utils.config import build

    network = build(MODELS, section, f"{way.experiment}/config.yaml: model")
    if way.chosen:
        way.chosen[0].check(network)
    if not is_usual and rate != network.sample_rate_hz:
        raise UserError(
            f"{data}: will be packed at {rate} Hz, the network of {way.experiment} takes {network.sample_rate_hz} Hz; "
            f"pack at that rate (steps.pack_audio, and recipes: --sample-rate-hz {network.sample_rate_hz})"
        )


def load_network(experiment: Path, checkpoint: str) -> tuple["EmbeddingNetwork", dict]:
    """The network of an experiment with the weights of a checkpoint, and the facts that the provenance of its embeddings states.

    Parameters
    ----------
    experiment : path
        Folder made by steps.train.
    checkpoint : str
        Name of a file of checkpoints/ without ``.pt``.

    Raises
    ------
    UserError
        Weights and configuration do not fit.
    """
    from steps.models import MODELS
    from utils.config import build
    from utils.training.checkpoints import load_checkpoint, weights_digest

    config = read_yaml(experiment / "config.yaml")
    network = build(MODELS, config["model"], f"{experiment}/config.yaml: model")
    path = experiment / "checkpoints" / f"{checkpoint}.pt"
    weights = load_checkpoint(path)["network"]
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{path}: does not fit {experiment}/config.yaml: {str(error).splitlines()[1].strip()}"
        ) from None
    facts = {
        "model": weights_digest(weights),
        "network": config["model"]["name"],
        "front_end": str(network.front_end),
        "sample_rate_hz": network.sample_rate_hz,
    }
    precision = config.get("training", {}).get("precision")
    if precision:
        facts["training_precision"] = precision
    told = batch_norm_of(experiment, network)
    if told and checkpoint != "step-0000000":
        facts["training_batch_norm"] = told
    return network.eval(), facts


def batch_norm_of(experiment: Path, network: "EmbeddingNetwork") -> str:
    """What BatchNorm saw in training, where that was not the whole batch; else empty.

    Parameters
    ----------
    experiment : path
        Folder made by steps.train; its receipt counts the processes.
    network : EmbeddingNetwork
        Of that experiment.
    """
    from utils.receipts import read_receipt
    from utils.training.objective import normalises_batches

    receipt = read_receipt(experiment / "receipts" / "train.json")
    counts = receipt["counts"] if receipt else {}
    if counts.get("batch_norm"):
        return counts["batch_norm"]
    processes = counts.get("processes", 1)  # all that receipts said before
    if processes == 1 or not normalises_batches(network):
        return ""
    return f"statistics of each process's own share of the batch, in {processes} processes"


def _origin(data: Path, front_end: "FrontEnd", experiment: Path) -> dict:
    """The facts of the provenance that the data directory tells: voice activity decisions, augmentation, and what made stored features."""
    from utils.embeddings.inputs import compare_features
    from utils.features.precomputed import Precomputed

    if not isinstance(front_end, Precomputed):
        return {"vad": vad_of(data), "augmentation": augmentation_of(data)}
    made = compare_features(data, read_yaml(experiment / "config.yaml").get("features"), experiment)
    vad = "frames of speech selected from the features" if front_end.select_voiced else vad_of(data)
    return {"vad": vad, "augmentation": augmentation_of(data)} | (
        {"features": made} if made else {}
    )


if __name__ == "__main__":
    run(extract)
