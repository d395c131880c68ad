"""Inputs from a directory of features alone, as from Kaldi; remedies in messages work."""

import re
import shlex

import numpy as np
import pytest

from utils.archive import ArchiveWriter, read_scp
from utils.embeddings.inputs import open_inputs
from utils.errors import UserError
from utils.features.registry import make_front_end

FRAMES = {"a-1": 12, "a-2": 20, "b-1": 7}
ROWS = {key: np.full((number, 3), number, np.float32) for key, number in FRAMES.items()}


@pytest.fixture
def front_end():
    return make_front_end({"name": "precomputed", "num_bins": 3, "description": "three"})


@pytest.fixture
def data(tmp_path):
    """utt2spk, spk2utt, feats.scp, and utt2num_frames with the final blanks of `feat-to-len`."""
    folder = tmp_path / "d"
    folder.mkdir()
    with ArchiveWriter(folder / "f.ark", folder / "feats.scp") as writer:
        for key, matrix in ROWS.items():
            writer.write(key, matrix)
    (folder / "utt2spk").write_text("".join(f"{key} {key[0]} \n" for key in FRAMES))
    (folder / "spk2utt").write_text("a a-1 a-2 \nb b-1 \n")
    (folder / "utt2num_frames").write_text(
        "".join(f"{key} {number} \n" for key, number in FRAMES.items())
    )
    return folder


def test_kaldis_lists_and_ranges_are_read(data, front_end):
    entries = read_scp(data / "feats.scp")
    ranged = "".join(f"{key} {entry}[2:6] \n" for key, entry in entries.items())
    (data / "feats.scp").write_text(ranged)
    (data / "utt2num_frames").write_text("".join(f"{key}  5 \n" for key in FRAMES))
    utterances, reader = open_inputs(data, front_end)
    assert utterances == list(FRAMES)
    assert reader.num_frames.tolist() == [5, 5, 5]
    assert np.array_equal(reader.read(1), ROWS["a-2"][2:7])


@pytest.mark.parametrize("with_audio", [False, True], ids=["features", "audio_too"])
@pytest.mark.parametrize("lacking", ["feats.scp", "utt2spk", "both"])
@pytest.mark.slow
def test_the_command_that_is_named_for_lists_that_differ_mends_them(
    data, front_end, command, tmp_path, lacking, with_audio
):
    if with_audio:
        (data / "wav.scp").write_text("".join(f"{key} {key}.wav\n" for key in FRAMES))
    if lacking != "utt2spk":
        (data / "feats.scp").write_text((data / "feats.scp").read_text().partition("\n")[2])
    if lacking != "feats.scp":
        (data / "utt2spk").write_text("a-1 a\na-2 a\n")
        (data / "spk2utt").write_text("a a-1 a-2\n")
    here = data
    for _ in range(2):  # what both lack is mended one after the other
        try:
            utterances, reader = open_inputs(here, front_end)
            break
        except UserError as error:
            words = shlex.split(
                re.sub("NEW", str(tmp_path / "new"), str(error)).rpartition(": ")[2]
            )
            done = command(*words[2:])
            assert (done.returncode, done.stderr) == (0, ""), words
            here = tmp_path / "new" if "NEW" in str(error) else data
    utterances, reader = open_inputs(here, front_end)
    assert (
        utterances
        == {
            "feats.scp": ["a-2", "b-1"],
            "utt2spk": ["a-1", "a-2"],
            "both": ["a-2"],
        }[lacking]
    )
    assert reader.num_frames.tolist() == [FRAMES[key] for key in utterances]
