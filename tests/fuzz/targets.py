"""All targets by name."""

from tests.fuzz.folder_targets import DATA_DIR
from tests.fuzz.kaldi_targets import ARCHIVES, PLDA, SCP
from tests.fuzz.sound_targets import WAV
from tests.fuzz.text_targets import JSON, YAML
from tests.fuzz.unpacking_targets import TAR
from tests.fuzz.weight_targets import CHECKPOINTS

TARGETS = {
    target.name: target
    for target in (ARCHIVES, SCP, DATA_DIR, PLDA, YAML, WAV, CHECKPOINTS, TAR, JSON)
}
