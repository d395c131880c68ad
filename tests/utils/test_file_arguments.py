"""Names of files on a command line are taken as they are, whatever letters they have."""

from pathlib import Path

import pytest

from utils.cli import call


def compare(
    model: Path,
    enrol: Path | None = None,
    test: Path | None = None,
    *,
    more: list[Path] | None = None,
    pairs: Path | None = None,
    p_target: float = 0.5,
    json: bool = False,
) -> tuple:
    """Return what was given."""
    return model, enrol, test, more, pairs, p_target, json


def join(model: Path, files: list[Path], output: Path) -> tuple:
    """Return what was given."""
    return model, files, output


def given(*words):
    """What `compare` gets, names as text."""
    model, enrol, test, more, pairs, p_target, json = call(compare, words, "compare")
    names = [name and str(name) for name in (model, enrol, test, pairs)]
    return [*names, more and [str(name) for name in more], p_target, json]


ODD = ["[a,b].wav", "1e3.wav", "1e3", "null", "true", "{a: 1}", "a: b", "#x", "a b", "${HOME}", "~"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_names(name):
    assert given("m", name, name, "--more", name, "--pairs", f"./{name}") == [
        *("m", name, name, name),
        *([name], 0.5, False),
    ]
    assert call(join, ["m", name, name, "out"], "join") == (
        Path("m"),
        [Path(name), Path(name)],
        Path("out"),
    )


def test_behind_two_dashes_names_may_begin_with_a_dash():
    assert given("m", "--p-target", "0.1", "--", "-x.wav", "--y-z.wav") == [
        *("m", "-x.wav", "--y-z.wav", None),
        *(None, 0.1, False),
    ]
    assert call(join, ["m", "--", "-x.wav", "--force", "out"], "join")[1] == [
        Path("-x.wav"),
        Path("--force"),
    ]


def test_options_may_stand_between_names():
    expected = ["m", "a", "b", None, ["c", "d"], 0.5, True]
    assert given("m", "a", "--json", "b", "--more", "c", "d") == expected
    assert given("--more", "c", "d", "--json", "m", "a", "b") == expected
    assert given("--json", "--more", "c", "d", "--", "m", "a", "b") == expected
    assert given("m", "a", "--json", "--more=[c, d]", "--", "b") == expected


def test_a_list_in_brackets_is_one_unless_a_file_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert given("--more", "[c, d]", "m", "a", "b")[4] == ["c", "d"]
    Path("[c, d]").touch()
    assert given("m", "a", "b", "--more", "[c, d]")[4] == ["[c, d]"]


def test_an_unknown_option_and_a_missing_value_are_refused(capsys):
    for words in (["m", "-x.wav", "b"], ["m", "a", "b", "--more"], ["m", "a", "b", "--pears", "x"]):
        with pytest.raises(SystemExit) as ended:
            given(*words)
        assert ended.value.code == 2
        assert len(capsys.readouterr().err.strip().split("\n")) == 1
