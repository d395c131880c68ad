"""Extract embeddings of utterances, whole or by a test protocol, in one job of an array.

    python -m steps.extract exp/ghostvlad_cpu data/full/packed_16000/test \\
        exp/ghostvlad_cpu/embeddings/test --job 1/2
    python -m steps.extract exp/ghostvlad_cpu data/full/packed_16000 exp/ghostvlad_cpu/embeddings \\
        --sets "[test]" --protocol crops_10x4s_mean

The folder is complete when steps.collect_embeddings has merged the parts.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from utils.cli import run
from utils.config import read_yaml
from utils.embeddings.enrolment import USUAL
from utils.embeddings.inputs import network_inputs, takes_features
from utils.embeddings.planned import note_embeddings, planned_rate_hz, read_model_section
from utils.embeddings.protocol_base import Protocol
from utils.embeddings.protocols import make_protocol, natural_protocol, read_protocol
from utils.errors import UserError
from utils.files import atomic_write
from utils.packed.facts import describe_augmentation, describe_cut, vad_when_packed
from utils.pretrained import is_model, model_input, open_model
from utils.pretrained.folder import PROTOCOL
from utils.pretrained.training_data import first_network, training_data_facts
from utils.receipts import DONE, MODE, Task

if TYPE_CHECKING:
    from steps.models import EmbeddingNetwork
    from utils.features.base import FrontEnd

FORMAT = 1
# Of networks and of packed audio; for another rate a plan checks the network, which takes torch.
USUAL_RATE_HZ = 16000


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
        Experiment of steps.train, or model folder.
    data : path
        Packed data directory, or the folder of those in ``sets``; with feats.scp for a network
        with the front end ``precomputed``.
    output : path
        Folder of the embeddings.  With ``sets``, each set has a folder in it, and in that one for
        the ``protocol``.
    sets : list of str or None
        Names of data directories below ``data``, processed one after the other; None: ``data``
        itself.
    protocol : str or None
        Test protocol, which defines the pieces of an utterance: name of a file of conf/protocols,
        or path of another YAML. None: that of a model folder; without one whole utterances, or
        windows that overlap by 20 % if the network takes one length only.
    checkpoint : str
        ``average``, or the name of another file of checkpoints/, such as ``step-0000000`` for the
        untrained network.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; sums depend on their number.
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
    settings = _Settings(experiment, checkpoint, device, num_threads, root, job)
    folder = ""
    if protocol:
        settings.protocol, settings.protocol_options = read_protocol(protocol)
        folder = settings.protocol.name
    if not sets:
        return {"utterances": _extract_set(settings, data, output).get("utterances", 0)}
    total = 0
    for name in sets:
        counts = _extract_set(settings, data / name, output / name / folder)
        total += counts.get("utterances", 0)
    return {"utterances": total}


@dataclass
class _Settings:
    """Options of `extract`, and the protocol."""

    experiment: Path
    checkpoint: str
    device: str
    num_threads: int
    root: Path | None
    job: str
    protocol: Protocol | None = None
    protocol_options: dict = field(default_factory=dict)

    @property
    def options(self) -> dict:
        """Options for the receipt."""
        options = {
            "checkpoint": self.checkpoint,
            "device": self.device,
            "num_threads": self.num_threads,
            "root": self.root,
        }
        return options | self.protocol_options


def _extract_set(settings: _Settings, data: Path, output: Path) -> dict:
    """Embed the job's part of one data directory; the counts of its receipt."""
    config, model = settings.experiment / "config.yaml", {}
    if config.exists():  # a plan may come before the training
        model = read_yaml(config)["model"]
    inputs = {"model": model_input(settings.experiment)}
    inputs |= network_inputs(data, model, "wav.scp", "utt2num_samples")
    task = Task(
        output,
        "extract",
        job=settings.job,
        format=FORMAT,
        inputs=inputs,
        expensive=True,
        options=settings.options,
    )
    note_embeddings(output, settings.experiment, data)
    if MODE.checking and task.status().state != DONE:
        _refuse_planned(settings, data)
    if not task.is_done():
        _embed(settings, data, task)
    return task.counts


def _embed(settings: _Settings, data: Path, task: Task) -> None:
    """Embed the job's utterances and write archive, provenance and receipt."""
    import torch

    from utils.archive import ArchiveWriter
    from utils.data_dir import job_utterances
    from utils.embeddings.inference import embed_utterances
    from utils.embeddings.inputs import open_inputs
    from utils.torch_device import use_device

    use_device(settings.device, settings.num_threads)
    # With its 10 bits an embedding would depend on the other utterances of its batch.
    torch.backends.cudnn.allow_tf32 = False
    network, facts = load_network(settings.experiment, settings.checkpoint)
    protocol = settings.protocol or default_protocol(settings.experiment, network)
    crops = str(protocol)
    if cut := describe_cut(data):
        crops += f", utterances {cut}"
    if protocol.compare != "all":
        facts["compare"] = protocol.compare
    if protocol.averaging != USUAL:
        facts["averaging"] = protocol.averaging
    facts |= {"protocol": protocol.name, "crops": crops}
    facts |= _data_facts(data, network.front_end, settings.experiment)
    facts |= training_data_facts(settings.experiment)
    keys, reader = open_inputs(data, network.front_end, settings.root)
    job_keys = job_utterances(keys, settings.job)
    row_by_utterance = {key: row for row, key in enumerate(keys)}
    rows = [row_by_utterance[key] for key in job_keys]
    embeddings = embed_utterances(
        network.to(settings.device), reader, rows, protocol=protocol, keys=job_keys
    )
    output, part = task.home, settings.job.partition("/")[0]
    with ArchiveWriter(output / f"xvector.{part}.ark", output / f"xvector.{part}.scp") as writer:
        for key, embedding in zip(job_keys, embeddings, strict=True):
            writer.write(key, embedding)
    provenance = output / f"provenance.{part}.json"
    with atomic_write(provenance) as file:
        json.dump(facts, file, indent=1)
    task.finish([writer, provenance], {"utterances": len(job_keys)})


def default_protocol(source: Path, network: "EmbeddingNetwork") -> Protocol:
    """The protocol without ``--protocol``: that of a model folder, or the network's natural one."""
    if is_model(source):
        options = open_model(source).protocol_options
        if options is not None:
            return make_protocol(options, str(source / PROTOCOL))
    return natural_protocol(network)


def _refuse_planned(settings: _Settings, data: Path) -> None:
    """In a plan, refuse a protocol or a sample rate that the network cannot take."""
    experiment = settings.experiment
    section, rate = read_model_section(experiment), planned_rate_hz(data)
    is_usual = rate in (None, USUAL_RATE_HZ) or takes_features(section or {})
    if section is None or (is_usual and settings.protocol is None):
        return
    from steps.models import MODELS
    from utils.config import build

    network = build(MODELS, section, f"{experiment}/config.yaml: model")
    if settings.protocol:
        settings.protocol.check(network)
    expected = network.sample_rate_hz
    if not is_usual and rate != expected:
        raise UserError(
            f"{data}: will be packed at {rate} Hz, the network of {experiment} takes {expected} "
            f"Hz; pack at that rate (steps.pack_audio, and recipes: --sample-rate-hz {expected})"
        )


def load_network(source: Path, checkpoint: str = "average") -> tuple["EmbeddingNetwork", dict]:
    """The network of an experiment or of a model folder, and facts for the provenance.

    ``checkpoint`` is the name of a file of checkpoints/ without ``.pt``. UserError: weights and
    configuration do not fit, or the model folder is damaged.
    """
    from steps.models import MODELS
    from utils.config import build
    from utils.training.checkpoints import read_network_weights, weights_digest

    config = read_yaml(source / "config.yaml")
    network = build(MODELS, config["model"], f"{source}/config.yaml: model")
    if is_model(source) and checkpoint != "average":
        raise UserError(
            f"--checkpoint {checkpoint}: {source} is a model folder, which has one network; leave "
            "the option out"
        )
    path, weights = read_network_weights(source, checkpoint)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise UserError(f"{path}: does not fit {source}/config.yaml: {reason}") from None
    facts = {
        "model": weights_digest(weights),
        "network": config["model"]["name"],
        "front_end": str(network.front_end),
        "sample_rate_hz": network.sample_rate_hz,
    }
    precision = config.get("training", {}).get("precision")
    if precision:
        facts["training_precision"] = precision
    origin = first_network(source)
    if origin:
        facts["started_from"] = origin
    statistics = describe_batch_norm(source, network)
    if statistics and checkpoint != "step-0000000":
        facts["training_batch_norm"] = statistics
    return network.eval(), facts


def describe_batch_norm(experiment: Path, network: "EmbeddingNetwork") -> str:
    """Part of the batch that BatchNorm's statistics in training are from; empty: the whole."""
    from utils.receipts import read_receipt

    receipt = read_receipt(experiment / "receipts" / "train.json")
    counts = {}
    if receipt:
        counts = receipt["counts"]
    if counts.get("batch_norm"):
        return counts["batch_norm"]
    processes = counts.get("processes", 1)  # older receipts have this number only
    if processes == 1:
        return ""
    from utils.training.objective import normalises_batches

    if not normalises_batches(network):
        return ""
    return f"statistics of each process's own share of the batch, in {processes} processes"


def _data_facts(data: Path, front_end: "FrontEnd", experiment: Path) -> dict:
    """Facts of the provenance from the data directory: VAD, augmentation, stored features."""
    from utils.embeddings.inputs import compare_features
    from utils.features.precomputed import Precomputed

    facts: dict[str, Any] = {
        "vad": vad_when_packed(data),
        "augmentation": describe_augmentation(data),
    }
    if isinstance(front_end, Precomputed):
        trained_on = read_yaml(experiment / "config.yaml").get("features")
        made = compare_features(data, trained_on, experiment)
        if front_end.select_voiced:
            facts["vad"] = "frames of speech selected from the features"
        if made:
            facts["features"] = made
    return facts


if __name__ == "__main__":
    run(extract)
