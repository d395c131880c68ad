"""The chain of augmentation as a whole: draws and their frequency, refusals, repeatability."""

import numpy as np
import pytest

from tests.measured_sounds import PEAK, RATE, N, crop, energy_db, make_bank
from utils.archive import read_scp
from utils.augmentation.augmenter import Augmenter, resolved_augmentation
from utils.augmentation.base import from_row, to_row
from utils.augmentation.signal import add_noise, change_speed, reverberate
from utils.config import make
from utils.data_dir import read_map
from utils.errors import UserError
from utils.packed.reader import PackedReader

REVERB, NOISE = (
    {"name": "reverb", "probability": 0.5},
    {"name": "noise", "probability": 0.5, "snr_db": [5, 20]},
)
EVERYTHING = (
    REVERB,
    NOISE | {"types": ["noise", "music"]},
    {"name": "babble", "probability": 0.4, "num_speakers": [1, 7]},
    {
        "name": "one_of",
        "probability": 0.7,
        "of": [REVERB, NOISE, {"name": "all_of", "of": [REVERB, NOISE, {"name": "reverse"}]}],
    },
    {"name": "volume", "probability": 0.5},
    {"name": "band_limit", "probability": 0.3},
    {"name": "codec", "probability": 0.2},
    {"name": "reverse", "probability": 0.3},
)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Three noises, of which one is shorter than a crop, five speakers, and two rooms."""
    return make_bank(tmp_path_factory.mktemp("bank"))


def opened(bank, *chain, **options):
    return make(Augmenter, {"chain": list(chain), **options}, "section").open(bank, RATE)


def test_the_same_seed_gives_the_same_samples_and_another_one_others(bank):
    augmenter = opened(bank, *EVERYTHING, speed_factors=[1.0, 0.9])

    def draw(*seed):
        return augmenter(crop(n=int(N * 0.9)), 0.9, N, np.random.default_rng(seed))

    first = [draw(1, k) for k in range(10)]
    assert all(
        np.array_equal(samples, draw(1, k)) for k, samples in reversed(list(enumerate(first)))
    )
    assert len({samples.tobytes() for samples in first}) > 5
    assert all(
        samples.dtype == np.float32 and samples.shape == (N,) and np.abs(samples).max() <= 1
        for samples in first
    )


def test_rooms_and_noise_are_drawn_in_the_order_in_which_published_results_were(bank):
    """The generator's calls one by one, as before there were chains: a seed keeps its results."""
    kinds = {
        kind: PackedReader(read_scp(bank / f"{kind}.scp"), read_map(bank / f"{kind}.num_samples"))
        for kind in ("rirs", "noise")
    }
    augmenter = opened(bank, REVERB, NOISE, speed_factors=[1.1])
    for seed in range(40):
        sound, rng = crop(seed, int(np.ceil(N * 1.1))), np.random.default_rng(seed)
        expected = change_speed(sound, 1.1, N)
        if rng.random() < 0.5:
            expected = reverberate(expected, kinds["rirs"].read(int(rng.integers(2))), PEAK)
        if rng.random() < 0.5:
            rng.integers(1)
            index = int(rng.integers(8))
            length = kinds["noise"].num_samples[index]
            if length >= N:
                noise = kinds["noise"].read(index, int(rng.integers(length - N + 1)), N)
            else:
                noise = np.resize(
                    np.roll(kinds["noise"].read(index), -int(rng.integers(length))), N
                )
            expected = add_noise(expected, noise, rng.uniform(5, 20))
        expected = expected / max(1, np.abs(expected).max())
        used = np.random.default_rng(seed)
        assert np.array_equal(augmenter(sound, 1.1, N, used), expected)
        assert used.random() == rng.random()


def test_every_transform_happens_as_often_as_asked(bank):
    draws = 2000
    augmenter = opened(bank, *EVERYTHING)
    happened = np.zeros(len(EVERYTHING))
    for seed in range(draws):
        happened += [drawn is not None for drawn in augmenter.draw(N, np.random.default_rng(seed))]
    for options, times in zip(EVERYTHING, happened, strict=True):
        expected = options["probability"]
        spread = 4 * np.sqrt(expected * (1 - expected) / draws)
        print(
            f"{options['name']}: asked {expected}, happened {times / draws:.3f} (within "
            f"{spread:.3f})"
        )
        assert abs(times / draws - expected) <= spread


def test_one_of_takes_each_by_its_weight(bank):
    augmenter = opened(
        bank,
        {
            "name": "one_of",
            "weights": [1, 3, 0],
            "of": [{"name": "reverb"}, {"name": "noise"}, {"name": "reverse"}],
        },
    )
    choices = [int(augmenter.draw(N, np.random.default_rng(seed))[0][0]) for seed in range(1000)]
    share = choices.count(1) / 1000
    print(f"weights 1:3, drawn {choices.count(0)}:{choices.count(1)}")
    assert abs(share - 0.75) <= 4 * np.sqrt(0.75 * 0.25 / 1000)
    assert 2 not in choices


def test_one_of_does_what_the_chosen_one_does_and_nothing_where_that_does_nothing(bank):
    gains = [
        {"name": "volume", "gain_db": [gain, gain], "probability": probability}
        for gain, probability in ((-6, 1), (-20, 0.5))
    ]
    augmenter = opened(bank, {"name": "one_of", "of": gains})
    changes = [
        energy_db(augmenter(crop(), 1.0, N, np.random.default_rng(seed))) - energy_db(crop())
        for seed in range(200)
    ]
    counts = {gain: sum(abs(change - gain) < 0.01 for change in changes) for gain in (-6, -20, 0)}
    assert sum(counts.values()) == 200
    assert all(
        abs(counts[gain] - 200 * share) < 30 for gain, share in ((-6, 0.5), (-20, 0.25), (0, 0.25))
    )


def test_all_of_is_a_chain_of_its_own(bank):
    links = (
        {"name": "volume", "gain_db": [-6, -6]},
        {"name": "reverse", "probability": 0.5},
        {"name": "volume", "gain_db": [-3, -3]},
    )
    augmenter = opened(bank, {"name": "all_of", "of": list(links)})
    seen = set()
    for seed in range(20):
        out = augmenter(crop(), 1.0, N, np.random.default_rng(seed))
        backwards = np.allclose(out, crop()[::-1] * 10 ** (-9 / 20), atol=1e-6)
        assert backwards or np.allclose(out, crop() * 10 ** (-9 / 20), atol=1e-6)
        seen.add(backwards)
    assert seen == {True, False}


def test_the_order_of_the_chain_counts(bank):
    limit, noise = (
        {"name": "band_limit", "low_hz": None, "high_hz": [2000, 2000]},
        {"name": "noise", "types": ["music"], "snr_db": [0, 0]},
    )
    before, after = (
        opened(bank, *chain)(crop(), 1.0, N, np.random.default_rng(0))
        for chain in ((noise, limit), (limit, noise))
    )
    above = [np.abs(np.fft.rfft(samples))[12000:].mean() for samples in (before, after)]
    assert above[0] < above[1] / 100


def test_what_was_drawn_survives_the_way_to_the_device(bank):
    augmenter = opened(bank, *EVERYTHING)
    for seed in range(100):
        drawn = augmenter.draw(N, np.random.default_rng(seed))
        row = np.array(to_row(augmenter.transforms, drawn))
        assert row.shape == (sum(transform.width for transform in augmenter.transforms),)
        sound = augmenter.apply(crop(), drawn)
        assert np.array_equal(
            augmenter.apply(crop(), from_row(augmenter.transforms, row.tolist())), sound
        )


def test_a_mixture_beyond_full_scale_is_turned_down_as_a_whole(bank):
    loud = np.sign(crop())
    mixture = opened(bank, NOISE | {"probability": 1, "snr_db": [0, 0]})(
        loud, 1.0, N, np.random.default_rng(0)
    )
    assert np.abs(mixture).max() == 1


def test_nothing_asked_for_changes_nothing_and_needs_no_bank():
    augmenter = Augmenter()
    assert not augmenter.uses_bank
    assert np.array_equal(
        augmenter.open(None, RATE)(crop(), 1.0, N, np.random.default_rng(0)), crop()
    )
    never = opened(None, REVERB | {"probability": 0}, NOISE | {"probability": 0})
    assert not never.uses_bank
    assert np.array_equal(never(crop(), 1.0, N, np.random.default_rng(0)), crop())


def test_a_faster_voice_is_another_speaker_or_not():
    assert Augmenter(speed_factors=(1.0, 0.9, 1.1)).classes_per_speaker == 3
    assert (
        Augmenter(speed_factors=(1.0, 0.9, 1.1), speed_is_new_speaker=False).classes_per_speaker
        == 1
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"chain": [NOISE | {"snr_db": [20, 5]}]},
            r"chain 1 \(noise\): snr_db: from 20.0 to 5.0, expected the lower bound first",
        ),
        (
            {"chain": [REVERB, NOISE | {"snr_db": {"music": [20, 5]}}]},
            r"chain 2 \(noise\): snr_db: from 20.0 to 5.0",
        ),
        (
            {"chain": [NOISE | {"probability": 1.5}]},
            r"chain 1 \(noise\): probability: 1.5, expected a number from 0 to 1",
        ),
        ({"chain": [REVERB | {"probability": -0.1}]}, r"chain 1 \(reverb\): probability: -0.1"),
        ({"chain": [NOISE | {"snr_db": "loud"}]}, r"chain 1 \(noise\): snr_db: found 'loud'"),
        ({"chain": [NOISE | {"gain": 2.0}]}, r"gain: 2.0 needs snr_db: recorded"),
        ({"chain": [NOISE | {"types": []}]}, r"types or snr_db is empty"),
        (
            {"chain": [NOISE | {"types": ["noise"], "snr_db": {"music": [0, 5]}}]},
            r"types are noise, snr_db has ranges for music",
        ),
        ({"chain": [NOISE | {"snr": 5}]}, r"chain 1 \(noise\): unknown key 'snr'"),
        ({"chain": [{"name": "bable"}]}, r"chain 1: name: no 'bable'; did you mean 'babble'\?"),
        ({"chain": [{"probability": 0.5}]}, r"chain 1: found .*, expected a mapping with a 'name'"),
        ({"chain": ["reverb"]}, r"section: chain: found .*expected a list, each a mapping"),
        ({"chain": {"name": "reverb"}}, r"section: chain: found .*expected a list, each a mapping"),
        (
            {"chain": [{"name": "babble", "num_speakers": [0, 3]}]},
            r"num_speakers: from 0 to 3, expected 1 or more",
        ),
        (
            {"chain": [{"name": "babble", "num_speakers": [7, 3]}]},
            r"num_speakers: from 7 to 3, expected the lower bound first",
        ),
        ({"chain": [{"name": "babble", "snr_db": [20, 13]}]}, r"snr_db: from 20.0 to 13.0"),
        ({"chain": [{"name": "volume", "gain_db": [6, -6]}]}, r"gain_db: from 6.0 to -6.0"),
        (
            {"chain": [{"name": "band_limit", "low_hz": [200, 4000]}]},
            r"low_hz goes up to 4000.0 and high_hz begins at 3000.0",
        ),
        (
            {"chain": [{"name": "band_limit", "high_hz": [3800, 3000]}]},
            r"high_hz: from 3800.0 to 3000.0",
        ),
        (
            {"chain": [{"name": "band_limit", "slope_db_per_octave": 0}]},
            r"slope_db_per_octave: 0.0, expected more than 0",
        ),
        (
            {"chain": [{"name": "codec", "codecs": ["g729"]}]},
            r"codecs: found g729, expected some of a_law, g721",
        ),
        (
            {"chain": [{"name": "codec", "compression": [0, 2]}]},
            r"compression: from 0.0 to 2.0, expected numbers from 0 to 1",
        ),
        ({"chain": [{"name": "one_of", "of": []}]}, r"chain 1 \(one_of\): of: found no transform"),
        ({"chain": [{"name": "one_of"}]}, r"chain 1 \(one_of\): key 'of' is missing"),
        (
            {"chain": [{"name": "one_of", "of": [REVERB], "weights": [1, 2]}]},
            r"weights: \[1.0, 2.0\], expected 1 numbers",
        ),
        ({"chain": [{"name": "one_of", "of": [REVERB], "weights": [0]}]}, r"weights: \[0.0\]"),
        (
            {"chain": [{"name": "one_of", "of": [REVERB, {"name": "noisy"}]}]},
            r"chain 1 \(one_of\): of 2: name: no 'noisy'; did you mean 'noise'\?",
        ),
        ({"speed_factors": []}, "speed_factors: "),
        ({"speed_factors": [1.0, 1.0]}, "speed_factors: "),
        ({"speed_factors": [90.0, 100.0]}, "speed_factors: "),
        ({"noise_probability": 0.3}, "unknown key 'noise_probability'"),
    ],
)
def test_impossible_options_are_refused_before_a_bank_is_opened(options, message):
    with pytest.raises(UserError, match=message) as refused:
        make(Augmenter, options, "section")
    assert "\n" not in str(refused.value)


def test_a_codec_that_libsndfile_lacks_is_refused(monkeypatch):
    monkeypatch.setattr("utils.augmentation.channel.is_available", lambda codec: codec != "opus")
    with pytest.raises(
        UserError,
        match=r"chain 1 \(codec\): codecs: this machine's libsndfile has no opus; take them out",
    ):
        make(Augmenter, {"chain": [{"name": "codec", "codecs": ["mp3", "opus"]}]}, "section")


def test_a_band_that_the_rate_has_not_is_refused():
    with pytest.raises(
        UserError,
        match=r"chain 1 \(band_limit\): high_hz goes up to 9000.0, expected at most half of "
        r"the sample rate, 8000.0",
    ):
        opened(None, {"name": "band_limit", "high_hz": [3000, 9000]})


@pytest.mark.parametrize(
    ("name", "kind"), [("noise", "noise"), ("babble", "noise"), ("reverb", "rirs")]
)
def test_a_bank_that_is_missing_or_has_not_what_is_wanted_or_is_empty_is_refused(
    tmp_path, name, kind
):
    for chain in ([{"name": name}], [{"name": "one_of", "of": [{"name": name}]}]):
        with pytest.raises(
            UserError,
            match=rf"chain 1 .*{kind}: asked for, but there is no bank: make it with steps.augment",
        ):
            opened(None, *chain)
    make_bank(tmp_path)
    (tmp_path / f"{kind}.scp").write_text("")
    with pytest.raises(UserError, match=rf"{kind}.scp: found nothing, expected one sound or more"):
        opened(tmp_path, {"name": name})
    (tmp_path / f"{kind}.scp").unlink()
    with pytest.raises(UserError, match=f"{tmp_path} has none: make it with steps.augment"):
        opened(tmp_path, {"name": name})


@pytest.mark.parametrize("options", [{"snr_db": {"babble": [3, 3]}}, {"types": ["babble"]}])
def test_types_that_the_bank_has_not_are_refused(bank, options):
    with pytest.raises(
        UserError,
        match=r"chain 1 \(noise\): no noise of type babble in .*; there is music, noise, speech",
    ):
        opened(bank, {"name": "noise"} | options)
    with pytest.raises(UserError, match=r"chain 1 \(babble\): no noise of type talk in .*"):
        opened(bank, {"name": "babble", "type": "talk"})


def test_a_bank_of_another_rate_is_refused(bank):
    with pytest.raises(UserError, match="audio of 16000 Hz, expected 8000 Hz"):
        make(Augmenter, {"chain": [NOISE]}, "section").open(bank, 8000)


def test_the_resolved_section_builds_the_same_and_says_every_default(bank):
    resolved = resolved_augmentation(
        {"chain": [NOISE, {"name": "one_of", "of": [{"name": "volume"}]}]}
    )
    assert resolved["speed_is_new_speaker"] is True
    assert resolved["chain"][1]["of"] == [
        {"name": "volume", "probability": 1.0, "gain_db": [-10.0, 6.0]}
    ]
    assert resolved_augmentation(resolved) == resolved
    assert make(Augmenter, resolved, "section").transforms[0].snr_db == (5.0, 20.0)
    assert resolved_augmentation(None) == {
        "speed_factors": [1.0],
        "speed_is_new_speaker": True,
        "chain": [],
        "device": False,
    }
