"""Inputs of a network: packed audio, or stored features for the front end ``precomputed``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import UserError
from utils.files import read_json_object
from utils.receipts import data_dir_inputs

if TYPE_CHECKING:
    from utils.features.base import FrontEnd
    from utils.features.precomputed import Precomputed
    from utils.features.reader import FeatureReader
    from utils.packed.reader import PackedReader

RATE_TOLERANCE = 1e-3


def takes_features(model: Mapping) -> bool:
    """Whether a network reads features in place of audio, by the section ``model`` of its YAML."""
    front_end = model.get("front_end")
    return isinstance(front_end, Mapping) and front_end.get("name") == "precomputed"


def network_inputs(
    data: Path, model: Mapping, *audio_lists: str, others: tuple[str, ...] = ()
) -> dict[str, Path]:
    """Files of a data directory that the work of a network depends on, for its `Task`.

    ``model`` is a section of its YAML; ``audio_lists`` matter for packed audio, ``others`` always.
    """
    if not takes_features(model):
        return data_dir_inputs(data, *audio_lists, *others)
    lists = ["utt2spk", "utt2num_frames", "feats.json"]
    if model["front_end"].get("select_voiced"):
        lists.append("vad.scp")
    inputs = data_dir_inputs(data, *lists, *others)
    inputs["feats.scp"] = data / "feats.scp"
    receipt = data / "feats" / "receipts" / "collect_feats.json"
    if receipt.exists():  # it stands for the archives, which we made
        inputs["feats"] = receipt
    return inputs


def open_inputs(
    data: Path, front_end: "FrontEnd", root: Path | None = None
) -> tuple[list[str], "PackedReader | FeatureReader"]:
    """Utterances of a data directory, and the reader of the inputs that a front end takes.

    ``root`` is the folder of relative paths in feats.scp. UserError: the inputs do not fit.
    """
    from utils.embeddings.inference import open_packed
    from utils.features.precomputed import Precomputed

    if isinstance(front_end, Precomputed):
        return _open_features(data, front_end, root)
    return open_packed(data, front_end.sample_rate_hz)


def _open_features(
    data: Path, front_end: "Precomputed", root: Path | None = None
) -> tuple[list[str], "FeatureReader"]:
    """Utterances in the order of utt2spk, and the reader of their features."""
    from utils.archive import read_scp
    from utils.data_dir import read_map
    from utils.features.reader import FeatureReader

    _require_lists(data, front_end)
    feats_scp, utterances = read_scp(data / "feats.scp"), list(read_map(data / "utt2spk"))
    _require_same_utterances(data, feats_scp, utterances)
    if not utterances:
        raise UserError(f"{data}/feats.scp: empty, expected features")
    _check_frame_rate(data, front_end.sample_rate_hz)
    vad_scp = None
    if front_end.select_voiced:
        vad_scp = read_scp(data / "vad.scp")
    reader = FeatureReader(
        {key: feats_scp[key] for key in utterances},
        front_end.num_bins,
        front_end.sample_rate_hz,
        vad_scp=vad_scp,
        root=root,
    )
    if (data / "utt2num_frames").exists():
        listed = read_map(data / "utt2num_frames")
        for key, number in zip(utterances, reader.num_frames.tolist(), strict=True):
            if listed.get(key) != str(number):
                raise UserError(
                    f"{data}/utt2num_frames: '{key}' has {listed.get(key, 'no')} frames, expected "
                    f"the {number} of {feats_scp[key]}; one of the two is old: make the features "
                    "again"
                )
    return utterances, reader


def _require_lists(data: Path, front_end: "Precomputed") -> None:
    remedies = {
        "feats.scp": "make it with steps.make_feats and steps.collect_feats, or take Kaldi's",
        "utt2spk": "every data directory has one",
    }
    if front_end.select_voiced:
        remedies["vad.scp"] = (
            "select_voiced needs it: compute it with steps.compute_vad and steps.collect_vad, or "
            "take Kaldi's"
        )
    for name, remedy in remedies.items():
        if not (data / name).exists():
            raise UserError(f"{data}/{name}: missing; {remedy}")


def _require_same_utterances(
    data: Path, feats_scp: Mapping[str, object], utterances: list[str]
) -> None:
    odd = sorted(feats_scp.keys() ^ set(utterances))
    if not odd:
        return
    lacking = "feats.scp"
    if odd[0] in feats_scp:
        lacking = "utt2spk"
    command = f"fix {data}"
    if feats_scp.keys() <= set(utterances) and (data / "wav.scp").exists():
        command = f"subset {data} NEW --utterances {data}/feats.scp"
    raise UserError(
        f"{data}: {len(odd):,} utterances are in feats.scp or in utt2spk only; the first, "
        f"'{odd[0]}', is not in {lacking}; make a data directory of those with features: "
        f"python -m utils.data_dir {command}"
    )


def _check_frame_rate(data: Path, frames_per_second: int) -> None:
    """Compare the ``frame_shift`` (seconds) of a data directory, if any, with the front end's."""
    path = data / "frame_shift"
    if not path.exists():
        return
    try:
        shift_seconds = float(path.read_text(encoding="utf-8-sig"))
    except ValueError:
        raise UserError(
            f"{path}: expected the distance of frames in seconds, such as 0.01"
        ) from None
    if not abs(shift_seconds * frames_per_second - 1) <= RATE_TOLERANCE:
        raise UserError(
            f"{path}: a frame every {shift_seconds:g} s, the network's front end declares "
            f"{frames_per_second} frames per second; give it features of that rate"
        )


def made_features(data: Path) -> dict | None:
    """How the features of a data directory were made (``feats.json``); None: unknown, as Kaldi's.

    UserError: the file is not a JSON object.
    """
    path = data / "feats.json"
    if not path.exists():
        return None
    return read_json_object(path, remedy="run steps.collect_feats again")


def compare_features(data: Path, trained_on: dict | None, where: Path) -> dict | None:
    """`made_features` of a data directory; UserError if they differ from those trained on.

    ``trained_on`` are those of the training data or experiment ``where``. If either is unknown,
    only the declared front ends are compared, elsewhere.
    """
    from utils.config import first_difference

    made = made_features(data)
    if made and trained_on:
        difference = first_difference(trained_on.get("front_end"), made.get("front_end"))
        if difference:
            raise UserError(
                f"{data}/feats.json: {where} has other features: {difference}; make these with the "
                "same options"
            )
    return made
