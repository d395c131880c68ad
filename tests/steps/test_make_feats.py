"""Features for Kaldi: its own values for any number of jobs, and errors of one line."""

import json
import shutil
import signal
from pathlib import Path

import kaldi_native_io
import numpy as np
import pytest

from steps.collect_feats import collect_feats
from steps.make_feats import make_feats
from tests.conftest import ROOT
from tests.voices import RATE, make_packed
from utils.archive import ArchiveWriter, iterate_archive, iterate_scp, read_scp
from utils.data_dir import DataDir, read_map, write_data_dir
from utils.embeddings.inputs import open_inputs
from utils.errors import UserError
from utils.features.precomputed import Precomputed

GOLDEN = ROOT / "tests" / "golden" / "kaldi"
KALDIS_TEXT = {
    "fbank80": "fbank80.txt",
    "fbank40_nosnip": "fbank40_nosnip.txt",
    "mfcc30_voxceleb": "mfcc30_voxceleb.txt",
    "mfcc30_voxceleb_cmvn": "mfcc30_cmvn_sliding.txt",
}


def conf(stem):
    return ROOT / "conf" / "feats" / f"{stem}.yaml"


def golden_data(folder: Path) -> Path:
    """The golden waves as a data directory."""
    waves = {
        path.stem: f"tests/golden/kaldi/wav/{path.name}"
        for path in sorted((GOLDEN / "wav").glob("*.wav"))
    }
    folder.mkdir()
    write_data_dir(DataDir(folder, waves, {key: key for key in waves}, None, {}, None), folder)
    return folder


def made(data, config, jobs=1, **options):
    for job in range(1, jobs + 1):
        make_feats(data, config, job=f"{job}/{jobs}", **options)
    return collect_feats(data, jobs=jobs)


def stored(data):
    return dict(iterate_scp(data / "feats.scp"))


def test_every_configuration_is_held_against_kaldis_own_features():
    assert {path.stem for path in (ROOT / "conf" / "feats").glob("*.yaml")} == set(KALDIS_TEXT)


@pytest.mark.parametrize("stem", KALDIS_TEXT)
def test_features_are_kaldis(tmp_path, stem):
    data = golden_data(tmp_path / "data")
    kaldi = dict(iterate_archive(GOLDEN / KALDIS_TEXT[stem]))
    counts = made(data, conf(stem))
    assert counts == {"came_in": 3, "went_on": 3, "frames": sum(map(len, kaldi.values()))}
    ours = stored(data)
    assert list(ours) == list(kaldi)
    for key, matrix in ours.items():
        assert matrix.dtype == np.float32
        off = np.abs(matrix - kaldi[key]) / np.maximum(1, np.abs(kaldi[key]))
        print(f"{stem} {key}: {matrix.shape}, largest difference {off.max():.1e}")
        assert off.max() <= 1e-3
    assert read_map(data / "utt2num_frames") == {
        key: str(len(matrix)) for key, matrix in kaldi.items()
    }
    assert (data / "frame_shift").read_text() == "0.01\n"
    facts = json.loads((data / "feats.json").read_text())
    assert (facts["num_bins"], facts["compressed"], facts["front_end"]["dither"]) == (
        kaldi["w0"].shape[1],
        False,
        0,
    )


def test_another_reader_reads_them_compressed_or_not(tmp_path):
    plain, small = golden_data(tmp_path / "plain"), golden_data(tmp_path / "small")
    made(plain, conf("fbank80"))
    made(small, conf("fbank80"), compress=True)
    with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{plain}/feats.scp") as entries:
        theirs = {key: np.array(matrix) for key, matrix in entries}
    with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{small}/feats.scp") as entries:
        theirs_small = {key: np.array(matrix) for key, matrix in entries}
    ours, ours_small = stored(plain), stored(small)
    for key, matrix in ours.items():
        assert np.array_equal(matrix, theirs[key])
        assert np.array_equal(ours_small[key], theirs_small[key])
        assert 0 < np.abs(ours_small[key] - matrix).max() <= np.ptp(matrix) / 64
    sizes = [(data / "feats" / "feats.1.ark").stat().st_size for data in (plain, small)]
    print(f"{sizes[0]:,} bytes, compressed {sizes[1]:,}")
    assert sizes[1] < 0.3 * sizes[0]
    assert json.loads((small / "feats.json").read_text())["compressed"] is True


def test_frames_of_speech_are_those_of_kaldis_pipe(tmp_path):
    """apply-cmvn-sliding, then select-voiced-frames, as in Kaldi's VoxCeleb x-vectors."""
    data = golden_data(tmp_path / "data")
    made(data, conf("mfcc30_voxceleb_cmvn"))
    speech = dict(iterate_archive(GOLDEN / "vad.txt"))
    with ArchiveWriter(data / "vad.ark", data / "vad.scp") as writer:
        for key, decisions in speech.items():
            writer.write(key, decisions.astype(np.float32))
    front_end = Precomputed(num_bins=30, description="Kaldi's", select_voiced=True)
    keys, reader = open_inputs(data, front_end)
    for index, key in enumerate(keys):
        expected = dict(iterate_archive(GOLDEN / KALDIS_TEXT["mfcc30_voxceleb_cmvn"]))[key][
            speech[key] > 0
        ]
        assert 0 < len(expected) < len(speech[key])
        assert reader.read(index) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def packed_copy(packed, folder):
    return Path(shutil.copytree(packed, folder))


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return make_packed(
        tmp_path_factory.mktemp("packed") / "dev", {"a": 100, "b": 140, "c": 190}, utterances=3
    )


@pytest.mark.parametrize("compress", [False, True])
def test_the_number_of_jobs_changes_nothing(packed, tmp_path, compress):
    one, three = (packed_copy(packed, tmp_path / name) for name in ("one", "three"))
    for data, jobs in ((one, 1), (three, 3)):
        assert made(data, conf("mfcc30_voxceleb_cmvn"), jobs, compress=compress)["went_on"] == 9
    assert len(list((three / "feats").glob("feats.*.ark"))) == 3
    for (key, matrix), (other_key, other) in zip(
        stored(one).items(), stored(three).items(), strict=True
    ):
        assert key == other_key
        assert np.array_equal(matrix, other), key
    for name in ("utt2num_frames", "feats.json", "frame_shift", "feats/ledger.json"):
        assert (one / name).read_bytes() == (three / name).read_bytes()
    assert list(read_scp(one / "feats.scp")) == list(read_map(one / "utt2spk"))


def test_a_killed_run_is_repeated_to_the_same_bytes(packed, tmp_path, monkeypatch):
    undisturbed, killed = (
        packed_copy(packed, tmp_path / name / "data") for name in ("one", "other")
    )
    monkeypatch.chdir(tmp_path / "one")
    made(Path("data"), conf("fbank80"), 2)
    monkeypatch.chdir(tmp_path / "other")
    make_feats(Path("data"), conf("fbank80"), job="1/2")
    plain, calls = ArchiveWriter.write, []

    def dying(self, key, array):
        calls.append(key)
        if len(calls) == 3:
            raise KeyboardInterrupt(signal.SIGINT)
        plain(self, key, array)

    monkeypatch.setattr(ArchiveWriter, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        make_feats(Path("data"), conf("fbank80"), job="2/2")
    with pytest.raises(UserError, match=r"make_feats.2of2.json is missing"):
        collect_feats(Path("data"), jobs=2)
    assert not (killed / "feats.scp").exists()
    monkeypatch.setattr(ArchiveWriter, "write", plain)
    made(Path("data"), conf("fbank80"), 2)
    names = sorted(
        str(path.relative_to(killed))
        for path in killed.rglob("*")
        if path.is_file() and "receipts" not in path.parts
    )
    assert names == sorted(
        str(path.relative_to(undisturbed))
        for path in undisturbed.rglob("*")
        if path.is_file() and "receipts" not in path.parts
    )
    for name in names:
        assert (killed / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_other_options_do_not_overwrite_features(packed, tmp_path):
    data = packed_copy(packed, tmp_path / "data")
    made(data, conf("fbank80"))
    assert made(data, conf("fbank80"))["went_on"] == 9, "the same again is done already"
    with pytest.raises(
        UserError,
        match=r'option front_end: name was "kaldi_fbank", is "kaldi_mfcc"; --force redoes it',
    ):
        make_feats(data, conf("mfcc30_voxceleb"))


def test_features_from_elsewhere_are_not_overwritten(packed, tmp_path):
    data = packed_copy(packed, tmp_path / "data")
    (data / "feats.scp").write_text("a-0 raw_mfcc.1.ark:4\n")
    make_feats(data, conf("fbank80"))
    with pytest.raises(
        UserError, match=r"feats.scp: these features were made elsewhere; move the list away"
    ):
        collect_feats(data)
    assert (data / "feats.scp").read_text() == "a-0 raw_mfcc.1.ark:4\n"


def test_an_utterance_that_is_too_short_for_a_frame_stands_in_the_ledger(packed, tmp_path):
    data = packed_copy(packed, tmp_path / "data")
    with ArchiveWriter(data / "short.ark", data / "short.scp") as writer:
        writer.write_wave("c-2", np.full(399, 1000, np.int16), RATE)
    (data / "wav.scp").write_text(
        (data / "wav.scp")
        .read_text()
        .replace(read_map(data / "wav.scp")["c-2"], read_scp(data / "short.scp")["c-2"])
    )
    assert made(data, conf("fbank80")) == {
        "came_in": 9,
        "went_on": 8,
        "policy:short": 1,
        "frames": sum(map(len, stored(data).values())),
    }
    assert (
        data / "feats" / "dropped"
    ).read_text() == "c-2 policy:short 0.02 s are too short for a frame\n"
    assert "c-2" not in read_scp(data / "feats.scp")
    other = packed_copy(data, tmp_path / "other")
    shutil.rmtree(other / "feats")
    (other / "trials").write_text("a-0 a-1 target\na-0 c-2 nontarget\n")
    with pytest.raises(UserError, match="utterance 'c-2' is named in trials and would be dropped"):
        make_feats(other, conf("fbank80"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name: kaldi_fbnk\n", r"x.yaml: name: no 'kaldi_fbnk'; did you mean 'kaldi_fbank'\?"),
        ("num_mel_bins: 80\n", r"x.yaml: found .*expected a mapping with a 'name'"),
        (
            "name: kaldi_fbank\nnum_mels: 80\n",
            r"x.yaml: unknown key 'num_mels'; did you mean 'num_mel_bins'\?",
        ),
        (
            "name: precomputed\nnum_bins: 80\ndescription: x\n",
            r"x.yaml: name: 'precomputed' reads stored features itself",
        ),
        (
            "name: kaldi_fbank\nsample_rate_hz: 8000\n",
            (
                r"'a-0' has a rate of 16000 Hz, the front end takes 8000 Hz; pack the audio at "
                r"that rate"
            ),
        ),
    ],
)
def test_what_cannot_be_computed_is_one_line(packed, tmp_path, text, found):
    data = packed_copy(packed, tmp_path / "data")
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=found) as error:
        make_feats(data, tmp_path / "x.yaml")
    assert len(str(error.value).splitlines()) == 1
    assert not (data / "feats" / "feats.1.scp").exists()


@pytest.mark.slow
def test_the_command_works(packed, tmp_path, command):
    data = packed_copy(packed, tmp_path / "data")
    assert (
        command(
            "steps.make_feats", data, "conf/feats/fbank80.yaml", "--compress", "true"
        ).returncode
        == 0
    )
    done = command("steps.collect_feats", data)
    assert (done.returncode, done.stdout.splitlines()[0][-33:]) == (
        0,
        "frames; dropped 0 of 9 utterances",
    )
