r"""Package a trained network with all that belongs to it as a model folder.

    python -m steps.package exp/ecapa models/mine --backend cosine \
        --licence "CC BY 4.0" --data-licence "LDC user agreement"
    python -m steps.package exp/ecapa models/tested --backend lda_plda --threshold threshold.json

The folder needs neither the experiment nor its data: steps.extract, steps.score and
steps.export_kaldi take it, and it has a card.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from utils.cli import run
from utils.config import read_yaml
from utils.embeddings.protocols import natural_protocol, read_protocol
from utils.embeddings.provenance import MUST_AGREE, read_provenance
from utils.errors import UserError
from utils.evaluation.results import markdown_table
from utils.files import read_entries, read_json_object
from utils.pretrained import (
    hashed_speaker,
    model_digest,
    refuse_model,
    weights_as_bytes,
    write_model,
)
from utils.pretrained.calibration import CALIBRATION, NORM, shortened
from utils.pretrained.card import make_card
from utils.pretrained.folder import CONFIG, PROTOCOL, PROVENANCE, WEIGHTS
from utils.pretrained.training_data import training_data_facts
from utils.scoring.packaging import (
    Scores,
    backend_contents,
    calibration_contents,
    choose,
    list_backends,
    packaged_backend_digest,
)
from utils.training.source import (
    class_speeds,
    finished_training,
    heard_speakers,
    listed_speakers,
)

if TYPE_CHECKING:
    from steps.models import EmbeddingNetwork

FORMAT = 1
THRESHOLD = "threshold.json"


def package(
    experiment: Path,
    model: Path,
    *,
    backend: str | None = None,
    calibration: str | None = None,
    threshold: Path | None = None,
    checkpoint: str = "average",
    protocol: str | None = None,
    with_head: bool = False,
    domain: str = "",
    licence: str = "",
    data_licence: str = "",
) -> dict:
    """Write a model folder: network, front end, protocol, back end, calibration, card.

    Parameters
    ----------
    experiment : path
        Experiment of ``steps.train`` or ``steps.import_model``.
    model : path
        New folder; the same model again changes nothing.
    backend : str or None
        Name of a back end in ``backend/``; ``none``: plain cosine.  None: the only one, if there
        is any.
    calibration : str or None
        Name of a calibration in ``calibration/``, of scores of that back end alone; ``none``: none.
        None: the only one that fits, if there is any.  Where scores were normalised before it, the
        cohort's means are packaged, too.
    threshold : path or None
        A ``threshold.json`` that was fitted for this model.
    checkpoint : str
        ``average``, or the name of another file of checkpoints/.
    protocol : str or None
        Test protocol that belongs to the model: name of a file of conf/protocols, or path of
        another YAML; None: the network's natural one.
    with_head : bool
        Package the weights of the classification head, with the names of its speakers: these are
        personal data.
    domain : str
        The speech that the calibration was trained on, such as ``read English``; empty: the name of
        the set.
    licence : str
        Licence of the weights.
    data_licence : str
        Licence of the training data.

    Returns
    -------
    dict
        The model's ``digest``, its ``backend``, and whether it is ``calibrated``.

    Raises
    ------
    UserError
        The training is unfinished; several back ends or calibrations fit and none is named; one was
        trained on embeddings or scores of another network; the folder is another model.
    """
    refuse_model(experiment)
    receipt = finished_training(experiment)
    network, facts = _load(experiment, checkpoint)
    contents: dict[str, bytes | Path] = {
        CONFIG: experiment / "config.yaml",
        WEIGHTS: _weights(network),
    }
    named = natural_protocol(network)
    if protocol is not None:
        named, options = read_protocol(protocol)
        named.check(network)
        contents[PROTOCOL] = yaml.safe_dump(options, sort_keys=False).encode()
    folder = experiment / "backend"
    chosen = choose("backend", backend, list_backends(experiment), folder)
    if chosen:
        _refuse_other_network(folder / chosen, facts)
        contents |= backend_contents(folder / chosen, experiment)
    digest = packaged_backend_digest(experiment, chosen)
    scores = Scores(model_digest(contents), digest, named.name)
    contents |= calibration_contents(experiment, calibration, scores, domain)
    if threshold:
        _refuse_other_threshold(threshold, scores, _norm(contents))
        contents[THRESHOLD] = threshold
    speakers = _training_speakers(receipt)
    if with_head:
        contents |= _head(experiment, checkpoint, speakers)
    provenance = _provenance(experiment, receipt, facts, speakers)
    provenance["licence"] = {"weights": licence or None, "data": data_licence or None}
    contents |= _texts(experiment, provenance)
    about = {
        "parameters": f"{sum(weight.numel() for weight in network.parameters()):,}",
        "embedding": f"{network.embedding_dim} dimensions",
        "test protocol": f"{named.name}: {named}",
        "back end": chosen or "plain cosine",
    }
    figures = _figures(experiment, facts)
    contents["README.md"] = make_card(
        experiment.absolute().name,
        provenance,
        facts=about,
        figures=figures,
        calibration_domain=_domain(contents),
    ).encode()
    written = write_model(model, contents)
    print(f"{model}: {chosen or 'plain cosine'}, {len(written.files)} files")
    return {
        "digest": written.digest,
        "backend": chosen,
        "calibrated": CALIBRATION in written.files,
    }


def _load(experiment: Path, checkpoint: str) -> "tuple[EmbeddingNetwork, dict]":
    """The network, and facts for the provenance."""
    from steps.extract import load_network

    return load_network(experiment, checkpoint)


def _weights(network: "EmbeddingNetwork") -> bytes:
    """The weights as a safetensors file."""
    state = network.state_dict()
    return weights_as_bytes({name: tensor.numpy() for name, tensor in state.items()})


def _refuse_other_network(backend: Path, facts: Mapping) -> None:
    """Refuse a back end that was trained on embeddings of another network or checkpoint."""
    made = read_provenance(backend) or {}
    for key in MUST_AGREE:
        if made.get(key) != facts[key]:
            raise UserError(
                f"{backend}: trained on embeddings of {key} {str(made.get(key))[:60]}, packaged is "
                f"{str(facts[key])[:60]}; choose the back end of this network and checkpoint, or "
                "--backend none"
            )


def _norm(contents: Mapping[str, bytes | Path]) -> dict | None:
    """How scores are normalised; None if they are not."""
    content = contents.get(NORM)
    if not isinstance(content, bytes):
        return None
    return json.loads(content)


def _refuse_other_threshold(path: Path, scores: Scores, norm: Mapping | None) -> None:
    """Refuse a threshold that was fitted for another model, back end or norm."""
    if not path.exists():
        raise UserError(f"{path}: no such file; fit a threshold for the packaged model")
    fitted = read_json_object(path, {"model": str}, "a threshold", "fit it again")
    expected = {"model": scores.model, "backend": scores.backend, "norm": norm}
    for key, packaged in expected.items():
        if fitted.get(key) != packaged:
            raise UserError(
                f"{path}: fitted for {key} {shortened(fitted.get(key))}, packaged is "
                f"{shortened(packaged)}; package without --threshold, and fit it for that model"
            )


def _training_speakers(receipt: Mapping) -> list[str] | None:
    """Speakers of the training data in the order of the classes; None where they are not known."""
    speakers, entry = listed_speakers(receipt), receipt["inputs"].get("train/utt2spk")
    if speakers is None and entry is not None:
        print(
            f"{entry['path']}: not the list of the training any more: the model will not know its "
            "speakers, and tests of them are not refused"
        )
    return speakers


def _head(experiment: Path, checkpoint: str, speakers: list[str] | None) -> dict[str, bytes | Path]:
    """Rows of the classification head, one for each training speaker, and their names."""
    from utils.training.checkpoints import trained_weights

    _, loss = trained_weights(experiment, checkpoint)
    rows = [tensor for name, tensor in loss.items() if name.endswith("weight_NE")]
    if len(rows) != 1:
        raise UserError(
            f"{experiment}: its loss has {len(rows)} classification heads, expected one; leave "
            "--with-head out"
        )
    head, hashed = rows[0].numpy(), None
    if speakers is not None:
        speeds = class_speeds(read_yaml(experiment / "config.yaml").get("augmentation"))
        block = len(head) // len(speeds)  # others are voices at other speeds
        first = 0
        if 1.0 in speeds:
            first = speeds.index(1.0) * block
        head = head[first : first + block]
        hashed = [hashed_speaker(name) for name in speakers]
    listed = {"speakers": speakers, "hashed": hashed}
    return {
        "head.safetensors": weights_as_bytes({"weight_NE": head}),
        "head.json": (json.dumps(listed, indent=1) + "\n").encode(),
    }


def _provenance(
    experiment: Path, receipt: Mapping, facts: Mapping, speakers: list[str] | None
) -> dict:
    """The content of provenance.json but the licences."""
    config = read_yaml(experiment / "config.yaml")
    imported, hashed = config.get("imported"), None
    if speakers is not None:
        hashed = sorted(hashed_speaker(name) for name in speakers)
    num_speakers, may_have_heard = config.get("num_speakers"), []
    if speakers is not None:
        num_speakers = len(speakers)
    if training_data_facts(experiment):  # of the network that it began with
        heard = heard_speakers(experiment)
        hashed, may_have_heard = heard["speakers"], heard["may_have_heard"]
    lists = {}
    for label, entry in receipt["inputs"].items():
        if label.startswith("train/"):
            lists[label.removeprefix("train/")] = entry["content"]
    return {
        **facts,
        "packaged_by": {"step": "package", "format": FORMAT},
        "converted_from": imported,
        "training_data": {
            "description": _describe_training(receipt),
            "lists": lists,
            "num_speakers": num_speakers,
            "speakers": hashed,
            "may_have_heard": may_have_heard,
        },
    }


def _describe_training(receipt: Mapping) -> str:
    """The training data in a sentence."""
    entry = receipt["inputs"].get("train/utt2spk")
    if entry is None:
        return "Not known: the network was trained elsewhere."
    name, counts = Path(entry["path"]).parent.name, receipt["counts"]
    return (
        f"Set {name} of {counts['utterances']:,} utterances, trained for {counts['steps']:,} steps."
    )


def _texts(experiment: Path, provenance: Mapping) -> dict[str, bytes | Path]:
    """provenance.json; a NOTICE of what was converted; licences, where they are given."""
    texts = {PROVENANCE: json.dumps(provenance, indent=1)}
    imported = provenance["converted_from"]
    if imported:
        lines = [f"Converted by steps.import_model --kind {imported['kind']} from:"]
        lines += [f"{name}: SHA-256 {digest}" for name, digest in imported["sha256"].items()]
        texts["NOTICE"] = "\n".join(lines)
    licence = provenance["licence"]
    if any(licence.values()):
        weights, data = licence["weights"] or "not stated", licence["data"] or "not stated"
        texts["LICENSE"] = f"Weights: {weights}\nTraining data: {data}"
    return {name: f"{text}\n".encode() for name, text in texts.items()}


def _figures(experiment: Path, facts: Mapping) -> str:
    """Error rates of these weights from results.json, as Markdown; empty without any."""
    path = experiment / "results.json"
    if not path.exists():
        return ""
    rows = []
    for row in read_entries(path):
        tested = experiment / "embeddings" / row["test_set"]
        made = read_provenance(tested) or {}
        is_own = row["system"] == experiment.absolute().name
        if is_own and row["subset"] == "all" and made.get("model") == facts["model"]:
            rows.append(row)
    if not rows:
        return ""
    table = markdown_table(rows)
    return f"{table}\nMeasured by steps.evaluate; in brackets: 95 % intervals over speakers."


def _domain(contents: Mapping[str, bytes | Path]) -> str:
    """What the packaged calibration was trained on; empty without one."""
    packaged = contents.get(CALIBRATION)
    if not isinstance(packaged, bytes):
        return ""
    return json.loads(packaged)["domain"]


if __name__ == "__main__":
    run(package)
