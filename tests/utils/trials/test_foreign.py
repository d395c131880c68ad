"""Lists of trials as other toolkits write them, and whose voices they are."""

import pytest

from utils.errors import UserError
from utils.trials.foreign import plain_name, read_foreign_trials, speakers_of_trials

KALDI = "a-1 a-2 target\na-1 b-1 nontarget\nb-1 a-2 nontarget\n"
UTT2SPK = "b-1 b\na-2 a\na-1 a\n"


@pytest.fixture
def read(tmp_path):
    """The trials of a text."""

    def call(text):
        (tmp_path / "list").write_text(text, newline="")
        return read_foreign_trials(tmp_path / "list")

    return call


@pytest.fixture
def speakers(tmp_path, read):
    """Speakers of both sides, or what is wrong with them."""

    def call(text, utt2spk=UTT2SPK, models=None):
        (tmp_path / "utt2spk").write_text(utt2spk)
        if models:
            (tmp_path / "models").write_text(models)
        found = speakers_of_trials(
            read(text), tmp_path / "utt2spk", tmp_path / "models" if models else None
        )
        return found.enrol, found.test, found.are_known

    return call


@pytest.mark.parametrize(
    "text",
    [
        KALDI,
        KALDI.replace("nontarget", "imp").replace("target", "tgt"),
        "1 a-1 a-2\r\n0 a-1 b-1\r\n0  b-1\ta-2",
        "a-1 a-2 1\na-1 b-1 0\nb-1 a-2 0\n",
        "\ufeff1 a-1 a-2\n0 a-1 b-1\n0 b-1 a-2\n",
    ],
)
def test_both_sides_and_classes_are_the_same_in_every_form(read, text):
    found = read(text)
    assert found.pairs == [("a-1", "a-2"), ("a-1", "b-1"), ("b-1", "a-2")]
    assert found.is_target.tolist() == [True, False, False]


def test_models_called_by_digits_are_no_classes(read):
    assert read("0 a target\n1 a nontarget\n").pairs == [("0", "a"), ("1", "a")]
    with pytest.raises(UserError, match="both be classes"):
        read("0 a 1\n1 a 0\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a b\n", "list:1: trial 'a b' has no class"),
        ("a b target\nc d\n", "list:2: trial 'c d' has no class"),
        ("a b target\nc d maybe\n", "list:2: 'c d maybe', expected"),
        ("enrol test class\na b target\n", "list:1: .*tail -n"),
        ("1 a b\n0 a c\nx a d\n", "list:3: 'x a d', expected"),
        ("a b c target\n", "list:1: 4 fields"),
        ("a b target\nc d target\n", "2 target and 0 nontarget trials; error rates need both"),
        (
            "a b target\nc d nontarget\na b nontarget\n",
            "list:3: .* nontarget, in line 1 target",
        ),
        ("a b target\nb a nontarget\n", "list:2: .* nontarget, in line 1 target"),
        ("a b target\n\na c nontarget\n", "list:2: empty line"),
        ("a b target\na a nontarget\n", "list:2: .*with itself"),
        ("", "empty, expected lines"),
    ],
)
def test_what_is_no_list_of_trials_is_refused_by_its_line(read, text, reason):
    with pytest.raises(UserError, match=reason):
        read(text)


def test_speakers_are_those_of_utterances_models_or_speakers_themselves(speakers):
    assert speakers(KALDI) == (["a", "a", "b"], ["a", "b", "a"], True)
    assert speakers("a a-1 target\na b-1 nontarget\n") == (["a", "a"], ["a", "b"], True)
    models = "m-1 a-2\n"
    trials = "m-1 a-1 target\nm-1 b-1 nontarget\n"
    assert speakers(trials, models=models) == (["a", "a"], ["a", "b"], True)
    files = "1 a/1.wav a/2.wav\n0 a/1.wav b/1.wav\n"
    assert speakers(files) == (["a", "a"], ["a", "b"], True)


def test_utterances_called_their_own_speakers_leave_classes_unknown(speakers):
    own = "a-1 a-1\na-2 a-2\nb-1 b-1\n"
    assert speakers(KALDI, own)[2] is False
    sre16 = "a-2 a\na-1 a-1\nb-1 b-1\n"  # tests are of nobody known
    assert speakers("m a-1 target\nm b-1 nontarget\n", sre16, "m a-2\n")[2] is False


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        (KALDI, {"utt2spk": "a-1 a\na-2 a\n"}, "list:2: no speaker of 'b-1'"),
        (
            KALDI,
            {"utt2spk": "a-1 a\na-2 c\nb-1 b\n"},
            "list:1: .* target, but .* 'a' and 'c'",
        ),
        (
            KALDI,
            {"utt2spk": "a-1 a\na-2 a\nb-1 a\n"},
            "list:2: .* nontarget, but .* 'a' on both",
        ),
        (KALDI, {"utt2spk": "a a-1 a-2\nb b-1\n"}, "utt2spk:1: 3 fields, expected 2"),
        (KALDI, {"utt2spk": UTT2SPK + "a-1 c\n"}, "utt2spk:4: 'a-1' is of c here and of a before"),
        (
            "m a-1 target\nm b-1 nontarget\n",
            {"models": "m a-1 a-2\n"},
            "list:1: test side 'a-1' is an utterance of its own model",
        ),
        (
            "m a-1 target\nm b-1 nontarget\n",
            {"models": "m a-2 b-1\n"},
            "models:1: model 'm' has utterances of 'a' .* and 'b'",
        ),
        ("m a-1 target\nm b-1 nontarget\n", {"models": "m a-2\nm a-2\n"}, "models:2: 'm'"),
    ],
)
def test_speakers_that_do_not_fit_are_refused_by_name(speakers, text, options, reason):
    with pytest.raises(UserError, match=reason):
        speakers(text, **options)


def test_plain_names_are_those_of_kaldis_recipe():
    assert plain_name("id10270/x6uYqmx31kE/00001.wav") == "id10270-x6uYqmx31kE-00001"
    assert plain_name("a.b") == "a.b"
