"""What a network is fed from: packed audio, or the features of a feats.scp where its front end is ``precomputed``."""

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
    """Whether a network reads features in place of audio, from the section ``model`` of its YAML alone.

    Parameters
    ----------
    model : mapping
        Name and options of the network.
    """
    front_end = model.get("front_end")
    return isinstance(front_end, Mapping) and front_end.get("name") == "precomputed"


def network_inputs(
    data: Path, model: Mapping, *audio_lists: str, others: tuple[str, ...] = ()
) -> dict[str, Path]:
    """Files of a data directory that the work of a network depends on, for its `Task`.

    Parameters
    ----------
    data : path
        Data directory.
    model : mapping
        The section ``model`` of its YAML.
    *audio_lists : str
        Lists that matter where it reads packed audio.
    others : tuple of str
        Lists that matter in any case.
    """
    if not takes_features(model):
        return data_dir_inputs(data, *audio_lists, *others)
    lists = (
        "utt2spk",
        "utt2num_frames",
        "feats.json",
        *(["vad.scp"] if model["front_end"].get("select_voiced") else []),
    )
    made = (
        data / "feats" / "receipts" / "collect_feats.json"
    )  # stands for the archives, where they are ours
    return (
        data_dir_inputs(data, *lists, *others)
        | {"feats.scp": data / "feats.scp"}
        | ({"feats": made} if made.exists() else {})
    )


def open_inputs(
    data: Path, front_end: "FrontEnd", root: Path | None = None
) -> tuple[list[str], "PackedReader | FeatureReader"]:
    """Utterances of a data directory and the reader of what a front end takes.

    Parameters
    ----------
    data : path
        Packed data directory, or one with feats.scp for the front end ``precomputed``.
    front_end : FrontEnd
        That of the network.
    root : path or None
        Folder that relative paths in feats.scp start from.

    Raises
    ------
    UserError
        The front end does not take what is there.
    """
    from utils.embeddings.inference import open_packed
    from utils.features.precomputed import Precomputed

    return (
        _open_features(data, front_end, root)
        if isinstance(front_end, Precomputed)
        else open_packed(data, front_end.sample_rate_hz)
    )


def _open_features(
    data: Path, front_end: "Precomputed", root: Path | None = None
) -> tuple[list[str], "FeatureReader"]:
    """Utterances of a data directory with feats.scp, in the order of utt2spk, and the reader of their features."""
    from utils.archive import read_scp
    from utils.data_dir import read_map
    from utils.features.reader import FeatureReader

    wanted = {
        "feats.scp": "make it with steps.make_feats and steps.collect_feats, or bring Kaldi's",
        "utt2spk": "a data directory has one",
    }
    if front_end.select_voiced:
        wanted["vad.scp"] = (
            "select_voiced asks for it: compute it with steps.compute_vad and steps.collect_vad, or bring Kaldi's"
        )
    for name, remedy in wanted.items():
        if not (data / name).exists():
            raise UserError(f"{data}/{name}: missing; {remedy}")
    feats_scp, utterances = read_scp(data / "feats.scp"), list(read_map(data / "utt2spk"))
    if odd := sorted(feats_scp.keys() ^ set(utterances)):
        where = "utt2spk" if odd[0] in feats_scp else "feats.scp"
        known = feats_scp.keys() <= set(utterances)
        command = (
            f"subset {data} NEW --utterances {data}/feats.scp"
            if known and (data / "wav.scp").exists()
            else f"fix {data}"
        )
        raise UserError(
            f"{data}: {len(odd):,} utterances are in feats.scp or in utt2spk only; the first, '{odd[0]}', is not in {where}; those with "
            f"features make a data directory: python -m utils.data_dir {command}"
        )
    if not utterances:
        raise UserError(f"{data}/feats.scp: empty, expected features")
    _check_frame_rate(data, front_end.sample_rate_hz)
    vad_scp = read_scp(data / "vad.scp") if front_end.select_voiced else None
    reader = FeatureReader(
        {key: feats_scp[key] for key in utterances},
        front_end.num_bins,
        front_end.sample_rate_hz,
        vad_scp=vad_scp,
        root=root,
    )
    if (data / "utt2num_frames").exists():
        announced = read_map(data / "utt2num_frames")
        for key, number in zip(utterances, reader.num_frames.tolist(), strict=True):
            if announced.get(key) != str(number):
                raise UserError(
                    f"{data}/utt2num_frames: '{key}' has {announced.get(key, 'no')} frames there, {number} in {feats_scp[key]}; "
                    "one of the two is old: make the features again"
                )
    return utterances, reader


def _check_frame_rate(data: Path, frames_per_second: int) -> None:
    """Hold the data directory's ``frame_shift`` (seconds), where there is one, against the rate that the front end declares."""
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
            f"{path}: a frame every {shift_seconds:g} s, the network's front end declares {frames_per_second} frames per second; "
            "give it features of that rate"
        )


def made_features(data: Path) -> dict | None:
    """What made the features of a data directory (``feats.json``, by steps.collect_feats); None where nothing says so: Kaldi's do not.

    Parameters
    ----------
    data : path
        Data directory.

    Raises
    ------
    UserError
        The file is not a JSON object.
    """
    path = data / "feats.json"
    return read_json_object(path, mend="run steps.collect_feats again") if path.exists() else None


def compare_features(data: Path, trained_on: dict | None, where: Path) -> dict | None:
    """Refuse features that were made otherwise than those that a network was trained on; where either is unknown its declared front end has to do.

    Parameters
    ----------
    data : path
        Data directory.
    trained_on : dict or None
        As `made_features` found them when the network was trained.
    where : path
        Training data or experiment, for the message.

    Returns
    -------
    dict or None
        What made the features of ``data``.

    Raises
    ------
    UserError
        Both are known and differ: names the first option.
    """
    from utils.config import first_difference

    made = made_features(data)
    if (
        made
        and trained_on
        and (difference := first_difference(trained_on.get("front_end"), made.get("front_end")))
    ):
        raise UserError(
            f"{data}/feats.json: {where} has other features: {difference}; make these as those were made"
        )
    return made
