"""The bank of noises and rooms: what goes in, what comes out, and what is refused."""

import numpy as np
import pytest
import soundfile

from steps.augment import augment
from tests.speechlike import RATE, babble
from tests.steps.packing_cases import contents
from utils.archive import iterate_archive
from utils.augmentation.augmenter import Augmenter
from utils.data_dir import DataDir, read_map, write_data_dir
from utils.errors import UserError


@pytest.fixture
def noise_and_rirs(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "sounds").mkdir()
    for kind, seconds in (("noise", 3.0), ("rirs", 0.2)):
        wav_scp = {}
        for k in range(4):
            samples = (
                0.1
                * rng.normal(size=round(seconds * 8000))
                * (np.exp(-np.arange(seconds * 8000) / 200) if kind == "rirs" else 1)
            )
            wav_scp[f"{kind}{k}"] = str(tmp_path / "sounds" / f"{kind}{k}.wav")
            soundfile.write(wav_scp[f"{kind}{k}"], samples * (k != 3), 8000)
        maps = (
            {"utt2condition": {key: "music" if key == "noise0" else "noise" for key in wav_scp}}
            if kind == "noise"
            else {}
        )
        write_data_dir(
            DataDir(tmp_path / kind, wav_scp, {key: key for key in wav_scp}, None, maps),
            tmp_path / kind,
        )
    return {"noise": tmp_path / "noise", "rirs": tmp_path / "rirs"}


def test_a_bank_is_made_of_noises_and_rooms_and_its_augmenter_works(noise_and_rirs, tmp_path):
    bank = tmp_path / "bank"
    counts = augment(bank, **noise_and_rirs)
    assert (
        counts["noise"]["went_on"]
        == counts["rirs"]["went_on"]
        == counts["rirs"]["came_in"] - 1
        == 3
    )
    assert (bank / "noise.dropped").read_text() == "noise3 policy:silent 3.00 s\n"
    assert read_map(bank / "noise.utt2type") == {
        "noise0": "music",
        "noise1": "noise",
        "noise2": "noise",
    }
    assert all(
        np.argmax(np.abs(response)) == 160 for _, response in iterate_archive(bank / "rirs.ark")
    )
    augmenter = Augmenter(
        chain=({"name": "reverb"}, {"name": "noise", "snr_db": {"music": [5, 5]}})
    ).open(bank, RATE)
    crop = babble(1.4)
    assert not np.array_equal(augmenter(crop, 1.0, len(crop), np.random.default_rng(0)), crop)
    before = contents(bank)
    (bank / "receipts" / "augment.json").unlink()
    augment(bank, **noise_and_rirs)
    assert contents(bank) == before


def test_a_bank_of_nothing_is_refused(noise_and_rirs, tmp_path):
    with pytest.raises(
        UserError, match="nothing to put into the bank; give --noise, --rirs or both"
    ):
        augment(tmp_path / "bank")
    for path in read_map(noise_and_rirs["noise"] / "wav.scp").values():
        soundfile.write(path, np.zeros(8000), 8000)
    with pytest.raises(UserError, match="no noise left to put into the bank"):
        augment(tmp_path / "bank", noise=noise_and_rirs["noise"])
