"""The card of a model says what is known, and what is not."""

from utils.pretrained.card import make_card

PROVENANCE = {
    "network": "ecapa",
    "front_end": "fbank | 80",
    "sample_rate_hz": 16000,
    "model": "12ab",
    "licence": {"weights": "Apache-2.0", "data": None},
    "training_data": {
        "description": "Read speech.",
        "lists": {"utt2spk": "34cd"},
        "num_speakers": 7205,
        "speakers": ["0" * 16],
        "may_have_heard": [],
    },
}


def test_a_card_has_what_is_known():
    card = make_card(
        "campplus",
        PROVENANCE,
        facts={"embedding": "192 dimensions"},
        figures="EER 1.65 % [1.20, 2.10]",
        calibration_domain="calibrated on read English",
        limits=["It takes 16 kHz."],
    )
    for text in (
        "# campplus",
        "| front end | fbank \\| 80 |",
        "| sample rate | 16,000 Hz |",
        "| embedding | 192 dimensions |",
        "7,205 speakers",
        "- utt2spk: SHA-256 34cd",
        "EER 1.65 % [1.20, 2.10]",
        "calibrated on read English",
        "- It takes 16 kHz.",
        "Weights: Apache-2.0",
        "Training data: not stated",
    ):
        assert text in card
    assert "Replayed and synthetic speech is not detected" in card


def test_a_card_says_what_is_not_known():
    data = {"description": "", "num_speakers": None, "may_have_heard": ["public"]}
    card = make_card("x", {"sample_rate_hz": 8000, "training_data": data})
    assert "Not known. Its speakers are not known by name: those of any public corpus" in card
    assert "was not tested" in card
    assert "a score is no probability" in card
    assert "refused" not in card
