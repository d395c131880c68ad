"""Augmented copies of packed audio: their sound and lists agree with what was drawn."""

import json
import re

import numpy as np
import pytest
import soundfile

from local.prepare_noise import prepare_noise
from steps.augment import augment
from steps.augment_copies import augment_copies, forecast_bytes
from steps.collect_copies import collect_copies
from steps.collect_embeddings import collect_embeddings
from steps.extract import extract
from steps.train import train
from tests.banks import make_bank, make_data_dir
from tests.conftest import ROOT
from tests.steps.packing_cases import contents, decide, make_data, pack
from utils.archive import read_scp, read_vectors, read_wave
from utils.data_dir import read_data_dir, read_map, validate_data_dir
from utils.errors import UserError

CONF = ROOT / "conf" / "augmentation"
KALDI = CONF / "kaldi_voxceleb_copies.yaml"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``packed/train`` of ten utterances by stages 1 and 2, without trials, and ``bank``."""
    folder = tmp_path_factory.mktemp("copies")
    data = make_data(folder)
    (data / "trials").unlink()
    decide(data)
    pack(data, folder / "packed" / "train")
    make_bank(folder / "bank")
    return folder


def copy(made, output, policy=KALDI, jobs=1, include_originals=False, **options):
    for job in range(1, jobs + 1):
        augment_copies(
            made / "packed" / "train", made / "bank", policy, output, job=f"{job}/{jobs}", **options
        )
    return collect_copies(
        made / "packed" / "train", output, jobs=jobs, include_originals=include_originals
    )


def policy_of(folder, text):
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


def sounds(folder):
    return {
        key: np.asarray(read_wave(entry)[0], float).ravel()
        for key, entry in read_scp(folder / "wav.scp").items()
    }


def noise_of(bank, drawn, num_samples):
    """The noise that a record names, from where it says."""
    name, start = re.match(r"([\w-]+),start=(\d+)", drawn).groups()
    return (
        np.resize(np.roll(bank[name], -int(start)), num_samples)
        if len(bank[name]) < num_samples
        else bank[name][int(start) :][:num_samples]
    )


def test_kaldis_four_copies_and_the_originals_are_a_data_directory(made, tmp_path):
    counts = copy(made, tmp_path / "out", one_copy_per_transform=True, include_originals=True)
    seconds = map(float, read_map(made / "packed" / "train" / "utt2dur").values())
    assert counts.pop("hours_of_copies") == pytest.approx(4 * sum(seconds) / 3600, abs=1e-4)
    assert counts == {
        "came_in": 40,
        "went_on": 40,
        "unchanged_copies": 0,
        "utterances": 50,
        "speakers": 2,
    }
    validate_data_dir(tmp_path / "out", audio=True)
    lists, source = read_data_dir(tmp_path / "out"), read_data_dir(made / "packed" / "train")
    for name, original in lists.maps["utt2uniq"].items():
        assert name in (
            original,
            *(f"{original}-{kind}" for kind in ("reverb", "noise", "music", "babble")),
        )
        assert lists.utt2spk[name] == source.utt2spk[original]
        for file in ("utt2condition", "utt2num_samples", "utt2dur", "vad.scp"):
            assert lists.maps[file][name] == source.maps[file][original]
    assert lists.maps["spk2gender"] == {"a": "f", "b": "m"}
    assert {key: lists.wav_scp[key] for key in source.wav_scp} == source.wav_scp, (
        "originals stay where they lie"
    )
    assert {lists.maps["utt2augmentation"][key] for key in source.wav_scp} == {"none"}
    facts = json.loads((tmp_path / "out" / "augmentation.json").read_text())
    assert (facts["copies"], facts["policy_name"], facts["seed"]) == (
        ["reverb", "noise", "music", "babble"],
        "kaldi_voxceleb_copies",
        1,
    )
    assert facts["policy"]["chain"][0]["name"] == "one_of"
    assert str(tmp_path) not in json.dumps(facts)


def measured_levels(packed, bank, copies):
    """Of each copy with noise: error of the recorded SNR in dB, and the residual of a fit."""
    originals, uniq, records = (
        sounds(packed),
        read_map(copies / "utt2uniq"),
        read_map(copies / "utt2augmentation"),
    )
    noises = {
        key: np.asarray(read_wave(entry)[0], float).ravel()
        for key, entry in read_scp(bank / "noise.scp").items()
    }
    for name, samples in sounds(copies).items():
        kind, drawn = re.match(r"(\w+)\((.*)\)", records[name]).groups()
        if kind != "reverb":
            parts = [noise_of(noises, part, len(samples)) for part in drawn.split(";")]
            basis = np.stack(
                [originals[uniq[name]], sum(part / np.sqrt(np.mean(part**2)) for part in parts)],
                axis=1,
            )
            gains = np.linalg.lstsq(basis, samples, rcond=None)[0]
            levels_db = 10 * np.log10(np.sum((basis * gains) ** 2, axis=0))
            yield (
                name,
                kind,
                levels_db[0] - levels_db[1] - float(drawn.rpartition("=")[2]),
                np.abs(samples - basis @ gains).max(),
            )


def test_the_sound_of_copies_is_what_utt2augmentation_says(made, tmp_path):
    copy(made, tmp_path / "out", one_copy_per_transform=True)
    names, kinds, errors_db, rest = zip(
        *measured_levels(made / "packed" / "train", made / "bank", tmp_path / "out"), strict=True
    )
    print(
        f"{len(names)} copies: measured less drawn SNR at most {np.abs(errors_db).max():.4f} "
        f"dB; {max(rest):.2f} steps of 16 bits left over"
    )
    assert [name.rpartition("-")[2] for name in names] == 10 * ["babble", "music", "noise"]
    assert kinds == 10 * ("babble_sum", "noise", "noise")
    assert np.abs(errors_db).max() < 0.02
    assert max(rest) < 1.01


def test_real_speech_in_real_noise_and_rooms_too(shared_data, tmp_path):
    for kind in ("noise", "rirs"):
        prepare_noise(shared_data / kind, tmp_path / kind)
    augment(tmp_path / "bank", noise=tmp_path / "noise", rirs=tmp_path / "rirs")
    files = sorted((shared_data / "speechocean762_train" / "WAVE").rglob("*.[Ff][Ll][Aa][Cc]"))[
        ::60
    ][:12]
    speech = {
        f"s{number:02d}": soundfile.read(path, dtype="int16")[0]
        for number, path in enumerate(files)
    }
    pack(
        make_data_dir(tmp_path / "speech", speech, {}),
        tmp_path / "packed" / "train",
        min_speech_seconds=0,
    )
    rain = "{name: noise, types: [rain], snr_db: [0, 15]}"
    text = (
        "chain: "
        f"[{{name: one_of, of: [{rain}, {{name: noise, snr_db: [-5, 5]}}, {{name: reverb}}]}}]"
    )
    copy(tmp_path, tmp_path / "out", policy_of(tmp_path, text), one_copy_per_transform=True)
    _, _, errors_db, rest = zip(
        *measured_levels(tmp_path / "packed" / "train", tmp_path / "bank", tmp_path / "out"),
        strict=True,
    )
    print(
        f"{len(errors_db)} copies: measured less drawn SNR at most "
        f"{np.abs(errors_db).max():.4f} dB; {max(rest):.2f} steps of 16 bits left over"
    )
    assert len(errors_db) == 24
    assert np.abs(errors_db).max() < 0.05
    assert max(rest) < 1.01


def test_a_copy_in_a_room_is_the_original_filtered(made, tmp_path):
    copy(made, tmp_path / "out", one_copy_per_transform=True)
    rooms = {
        key: read_wave(entry)[0].ravel().astype(float)
        for key, entry in read_scp(made / "bank" / "rirs.scp").items()
    }
    records, copies = read_map(tmp_path / "out" / "utt2augmentation"), sounds(tmp_path / "out")
    for key, original in sounds(made / "packed" / "train").items():
        response = rooms[records[f"{key}-reverb"].removeprefix("reverb(").removesuffix(")")]
        wet = np.convolve(original, response)[160 : 160 + len(original)]
        cosine = (
            np.dot(wet, copies[f"{key}-reverb"])
            / np.linalg.norm(wet)
            / np.linalg.norm(copies[f"{key}-reverb"])
        )
        assert cosine > 0.9999


def test_the_number_of_jobs_changes_no_sample_and_no_list(made, tmp_path):
    policy = CONF / "mr_rawnet.yaml"
    for name, jobs in (("one", 1), ("three", 3), ("twelve", 12)):
        copy(made, tmp_path / name, policy, jobs=jobs, copies=2)
    one = sounds(tmp_path / "one")
    for name in ("three", "twelve"):
        other = sounds(tmp_path / name)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[key], other[key]) for key in one)
        for file in (
            "utt2spk",
            "spk2utt",
            "utt2uniq",
            "utt2augmentation",
            "utt2dur",
            "utt2num_samples",
            "augmentation.json",
            "ledger.json",
        ):
            assert (tmp_path / "one" / file).read_bytes() == (tmp_path / name / file).read_bytes()


def test_the_same_again_is_the_same_bytes_and_nothing_is_done_twice(made, tmp_path):
    copy(made, tmp_path / "out", copies=2)
    before = contents(tmp_path / "out")
    archive = tmp_path / "out" / "packed.1.ark"
    written = archive.stat().st_mtime_ns
    copy(made, tmp_path / "out", copies=2)
    assert archive.stat().st_mtime_ns == written
    (tmp_path / "out" / "receipts" / "augment_copies.1of1.json").unlink()
    copy(made, tmp_path / "out", copies=2)
    assert archive.stat().st_mtime_ns > written
    assert contents(tmp_path / "out") == before


def test_other_options_are_refused_over_finished_copies(made, tmp_path):
    copy(made, tmp_path / "out")
    with pytest.raises(UserError, match="stale: option seed was 1, is 2; --force redoes it"):
        copy(made, tmp_path / "out", seed=2)


def test_other_speeds_are_other_speakers_of_the_same_gender_without_decisions(made, tmp_path):
    policy = policy_of(tmp_path, "speed_factors: [0.9, 1.0, 1.1]\n")
    counts = copy(made, tmp_path / "out", policy, copies=3, include_originals=True)
    lists = read_data_dir(tmp_path / "out")
    assert counts["speakers"] == len(lists.spk2utt) == 6
    assert lists.maps["spk2gender"] == {
        f"{prefix}{speaker}": gender
        for prefix in ("", "sp0.9-", "sp1.1-")
        for speaker, gender in ("af", "bm")
    }
    for name, record in lists.maps["utt2augmentation"].items():
        factor = float(record.removeprefix("speed(").removesuffix(")")) if record != "none" else 1.0
        original = lists.maps["utt2uniq"][name]
        assert lists.utt2spk[name] == (f"sp{factor:g}-" if factor != 1 else "") + original[0]
        assert float(lists.maps["utt2dur"][name]) == pytest.approx(
            float(lists.maps["utt2dur"][original]) / factor, abs=1e-3
        )
        assert (name in lists.maps["vad.scp"]) == (factor == 1)


def test_what_runs_backwards_has_no_decisions(made, tmp_path):
    copy(made, tmp_path / "out", CONF / "vgg.yaml", copies=2)
    lists = read_data_dir(tmp_path / "out")
    assert "vad.scp" not in lists.maps
    copies, originals = sounds(tmp_path / "out"), sounds(made / "packed" / "train")
    records = lists.maps["utt2augmentation"]
    assert set(records.values()) == {"none", "reverse"}
    for name, samples in copies.items():
        original = originals[lists.maps["utt2uniq"][name]]
        assert np.array_equal(samples, original[::-1] if records[name] == "reverse" else original)


def test_a_policy_without_sounds_of_the_bank_needs_none(made, tmp_path):
    counts = augment_copies(
        made / "packed" / "train", tmp_path / "no_bank", CONF / "vgg.yaml", tmp_path / "out"
    )
    assert 0 < counts["unchanged_copies"] < counts["went_on"] == 10


@pytest.mark.slow
def test_a_network_embeds_copies_and_the_embeddings_say_so(made, corpus, tmp_path):
    copy(made, tmp_path / "copies", one_copy_per_transform=True, include_originals=True)
    train(
        corpus / "train",
        corpus / "dev",
        corpus / "config.yaml",
        tmp_path / "exp",
        num_threads=1,
        steps=2,
    )
    extract(tmp_path / "exp", tmp_path / "copies", tmp_path / "embeddings")
    assert collect_embeddings(tmp_path / "copies", tmp_path / "embeddings")["utterances"] == 50
    keys, vectors = read_vectors(tmp_path / "embeddings" / "xvector.scp")
    rows = dict(zip(keys, vectors, strict=True))
    assert keys == sorted(read_map(tmp_path / "copies" / "utt2uniq"))
    assert not np.array_equal(rows["a-0"], rows["a-0-noise"])
    facts = json.loads((tmp_path / "embeddings" / "provenance.json").read_text())
    assert (
        facts["augmentation"]
        == "originals and copies reverb, noise, music, babble by kaldi_voxceleb_copies, seed 1"
    )
    assert facts["vad"] == "none"
    extract(tmp_path / "exp", made / "packed" / "train", tmp_path / "clean")
    assert (
        json.loads((tmp_path / "clean" / "provenance.1.json").read_text())["augmentation"] == "none"
    )


def test_a_set_with_trials_is_copied_with_leave_only_and_its_trials_stay_with_the_originals(
    data, made, tmp_path
):
    decide(data)
    pack(data, tmp_path / "packed" / "test")
    with pytest.raises(
        UserError, match="test/trials: its audio is for tests, .* give --allow-trials"
    ):
        augment_copies(tmp_path / "packed" / "test", made / "bank", KALDI, tmp_path / "out")
    augment_copies(
        tmp_path / "packed" / "test", made / "bank", KALDI, tmp_path / "out", allow_trials=True
    )
    for include, trials in ((False, None), (True, read_data_dir(data).trials)):
        collect_copies(tmp_path / "packed" / "test", tmp_path / "out", include_originals=include)
        assert read_data_dir(tmp_path / "out").trials == trials


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("chain: [{name: reverb}]", {"copies": 0}, "policy.yaml: --copies: 0, expected 1 or more"),
        ("chain: [{name: reverb}]", {"seed": -1}, "--seed is -1, expected 0 or more"),
        ("chain: [{name: reverb}]", {"job": "2/1"}, "--job: '2/1', expected J/N"),
        ("chain: [{name: echo}]", {}, "policy.yaml: chain 1: name: no 'echo'"),
        ("chian: [{name: reverb}]", {}, "policy.yaml: unknown key 'chian'; did you mean 'chain'"),
        (
            "chain: [{name: noise, snr_db: [15, 0]}]",
            {},
            (
                r"policy.yaml: chain 1 \(noise\): snr_db: from 15.0 to 0.0, expected the lower "
                r"bound first"
            ),
        ),
        (
            "chain: [{name: noise, types: [rain]}]",
            {},
            (
                r"policy.yaml: chain 1 \(noise\): no noise of type rain in .*; there is music, "
                r"noise, speech"
            ),
        ),
        (
            "chain: [{name: reverb}]",
            {"one_copy_per_transform": True},
            "policy.yaml: chain: has 0 one_of, expected one",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(made, tmp_path, text, options, complaint):
    with pytest.raises(UserError, match=complaint) as refusal:
        augment_copies(
            made / "packed" / "train",
            made / "bank",
            policy_of(tmp_path, text),
            tmp_path / "out",
            **options,
        )
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out" / "packed.1.ark").exists()


def test_a_bank_that_is_missing_empty_or_without_rooms_is_refused(made, tmp_path):
    with pytest.raises(
        UserError,
        match=r"receipts/augment.json is missing: the step that makes it has not finished",
    ):
        augment_copies(made / "packed" / "train", tmp_path / "nothing", KALDI, tmp_path / "out")
    noises_only = make_bank(tmp_path / "noises_only", rooms=False)
    with pytest.raises(
        UserError,
        match=r"chain 1 \(one_of\): of 1 \(reverb\): rirs: asked for, but .*noises_only has none",
    ):
        augment_copies(made / "packed" / "train", noises_only, KALDI, tmp_path / "out")
    for name in ("noise.scp", "noise.num_samples", "noise.utt2type"):
        (noises_only / name).write_text("")
    with pytest.raises(UserError, match=r"noise.scp: found nothing, expected one sound or more"):
        augment_copies(
            made / "packed" / "train", noises_only, CONF / "ge2e_td.yaml", tmp_path / "out"
        )


def test_what_is_not_packed_is_refused(made, tmp_path):
    with pytest.raises(UserError, match="utt2num_samples: no such file"):
        augment_copies(made / "train", made / "bank", KALDI, tmp_path / "out")


def test_copies_that_nobody_can_hear_are_dropped_by_name_and_too_many(made, tmp_path):
    policy = policy_of(tmp_path, "chain: [{name: volume, gain_db: [-120, -120]}]")
    with pytest.raises(
        UserError,
        match=r"10 of 10 utterances dropped as policy, at most 1 may be; the first is "
        r"'a-0-aug1' \(policy:silent: ",
    ):
        copy(made, tmp_path / "out", policy)


def test_collecting_before_all_jobs_are_done_is_refused(made, tmp_path):
    augment_copies(made / "packed" / "train", made / "bank", KALDI, tmp_path / "out", job="1/2")
    with pytest.raises(UserError, match=r"augment_copies.2of2.json is missing"):
        collect_copies(made / "packed" / "train", tmp_path / "out", jobs=2)


def test_the_size_is_forecast(made):
    samples = sum(map(int, read_map(made / "packed" / "train" / "utt2num_samples").values()))
    assert forecast_bytes(made / "packed" / "train", 3, "1/1") == 6 * samples
    assert forecast_bytes(made / "nowhere", 3, "1/1") is None
