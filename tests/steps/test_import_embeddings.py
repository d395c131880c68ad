"""Pickled embeddings of others: converted to archives that Kaldi reads, and scored by our steps."""

import json

import kaldi_native_io
import numpy as np
import pytest

from steps.import_embeddings import import_embeddings
from steps.score import score
from steps.train_backend import train_backend
from tests.pickles import dump, hostile, python2_dict
from utils.archive import read_vectors
from utils.errors import UserError

SPEAKERS = {"A.J._Buckley": "id10001", "A.R._Rahman": "id10002", "Eartha_Kitt": "id10278"}


@pytest.fixture
def meta(tmp_path):
    """A short vox1_meta.csv, with the line ends that it has in some copies."""
    lines = [
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet",
        *(f"{id}\t{name}\tm\tUSA\tdev" for name, id in SPEAKERS.items()),
    ]
    (tmp_path / "vox1_meta.csv").write_text("\r\n".join(lines) + "\r\n")
    return tmp_path / "vox1_meta.csv"


def vectors(*keys, dimension=8):
    """A dictionary with one vector per key."""
    generator = np.random.default_rng(1)
    return {key: generator.standard_normal(dimension).astype(np.float32) for key in keys}


DEV = vectors(
    "A.R._Rahman/QanuGhOhb9A_0000002.wav",
    "A.J._Buckley/1zcIwhmdeo4_0000001.wav",
    "A.J._Buckley/_-zc_whmd-4_0000012.wav",
)
EVAL = vectors("Eartha_Kitt/1iK5_0-6mHo_0000001.wav")


@pytest.mark.parametrize("python", [2, 3])
def test_names_of_the_first_release_become_ids(tmp_path, meta, python):
    if python == 3:
        source = dump(tmp_path / "x", {"dev_dic_embeddings": DEV, "eval_dic_embeddings": EVAL})
    else:
        parts = [
            b"U\x12dev_dic_embeddings" + python2_dict(DEV, 2)[2:-1] + b"s",
            b"U\x13eval_dic_embeddings" + python2_dict(EVAL, 2)[2:-1] + b"s",
        ]
        source = tmp_path / "x"
        source.write_bytes(b"\x80\x02}" + b"".join(parts) + b".")
    counts = import_embeddings(source, tmp_path / "out", kind="rawnet", meta=meta)
    assert counts == {
        str(tmp_path / "out" / "dev"): {"utterances": 3, "speakers": 2, "dimension": 8},
        str(tmp_path / "out" / "eval"): {"utterances": 1, "speakers": 1, "dimension": 8},
    }
    keys, embeddings = read_vectors(tmp_path / "out" / "dev" / "xvector.scp")
    assert keys == [
        "id10001-1zcIwhmdeo4-00001",
        "id10001-_-zc_whmd-4-00012",
        "id10002-QanuGhOhb9A-00002",
    ]
    np.testing.assert_array_equal(embeddings[0], DEV["A.J._Buckley/1zcIwhmdeo4_0000001.wav"])
    speakers, means = read_vectors(tmp_path / "out" / "dev" / "spk_xvector.scp")
    assert speakers == ["id10001", "id10002"]
    np.testing.assert_allclose(means[0], (embeddings[0] + embeddings[1]) / 2, rtol=1e-6)
    assert (
        tmp_path / "out" / "dev" / "num_utts.ark"
    ).read_text() == "id10001 2 \nid10002 1 \n"  # Kaldi's way


def test_every_name_of_the_official_list_is_mapped(tmp_path, shared_data):
    lines = (shared_data / "lists" / "vox1_meta.csv").read_text(encoding="utf-8").splitlines()[1:]
    names = {row.split("\t")[1]: row.split("\t")[0] for row in lines}
    content = vectors(*(f"{name}/1zcIwhmdeo4_0000001.wav" for name in names), dimension=2)
    source = dump(tmp_path / "x", {"dev_dic_embeddings": content, "eval_dic_embeddings": content})
    import_embeddings(
        source, tmp_path / "out", kind="rawnet", meta=shared_data / "lists" / "vox1_meta.csv"
    )
    keys, embeddings = read_vectors(tmp_path / "out" / "eval" / "xvector.scp")
    assert keys == sorted(f"{id}-1zcIwhmdeo4-00001" for id in names.values())
    assert len(keys) == 1251
    for name, id in names.items():
        np.testing.assert_array_equal(
            embeddings[keys.index(f"{id}-1zcIwhmdeo4-00001")],
            content[f"{name}/1zcIwhmdeo4_0000001.wav"],
        )


@pytest.mark.parametrize("ending", ["", ".wav"])
def test_keys_with_ids_become_utterances(tmp_path, ending):
    content = vectors(
        *(
            f"id10270/{video}/0000{k}{ending}"
            for video in ("5r0dWxy17C8", "8jEAjG6SegY")
            for k in (1, 2)
        )
    )
    import_embeddings(dump(tmp_path / "x", content), tmp_path / "out", kind="rawnet2_tta")
    keys, _ = read_vectors(tmp_path / "out" / "xvector.scp")
    assert keys == [
        f"id10270-{video}-0000{k}" for video in ("5r0dWxy17C8", "8jEAjG6SegY") for k in (1, 2)
    ]


def test_any_dictionary_keeps_its_keys_and_takes_speakers_from_a_list(tmp_path):
    content = {
        key: np.atleast_2d(vector).astype(np.float64) for key, vector in vectors("b", "a").items()
    }  # one row each, as some save them
    (tmp_path / "utt2spk").write_text("a s1\nb s1\nc s2\n")
    counts = import_embeddings(
        dump(tmp_path / "x", content), tmp_path / "out", kind="dict", utt2spk=tmp_path / "utt2spk"
    )
    assert counts[str(tmp_path / "out")] == {"utterances": 2, "speakers": 1, "dimension": 8}
    assert read_vectors(tmp_path / "out" / "xvector.scp")[0] == ["a", "b"]


def test_kaldis_reader_reads_the_archive(tmp_path):
    content = vectors("id10270/5r0dWxy17C8/00001")
    import_embeddings(dump(tmp_path / "x", content), tmp_path / "out", kind="rawnet2_tta")
    with kaldi_native_io.SequentialFloatVectorReader(f"scp:{tmp_path}/out/xvector.scp") as reader:
        read = {key: np.array(vector) for key, vector in reader}
    assert list(read) == ["id10270-5r0dWxy17C8-00001"]
    np.testing.assert_array_equal(
        read["id10270-5r0dWxy17C8-00001"], content["id10270/5r0dWxy17C8/00001"]
    )


def test_imported_sets_of_one_model_are_scored_and_of_two_are_not(tmp_path):
    keys = [f"id1000{speaker}/5r0dWxy17C8/0000{k}" for speaker in range(1, 5) for k in range(1, 4)]
    for name, model in (("train", "rawnet2"), ("test", "rawnet2"), ("other", None)):
        import_embeddings(
            dump(tmp_path / f"{name}.pk", vectors(*keys)),
            tmp_path / name,
            kind="rawnet2_tta",
            model=model,
        )
    ids = [key.replace("/", "-") for key in keys]
    (tmp_path / "trials").write_text(f"{ids[0]} {ids[1]} target\n{ids[0]} {ids[4]} nontarget\n")
    train_backend(tmp_path / "train", tmp_path / "backend", backend="cosine")
    assert (
        score(
            tmp_path / "backend", tmp_path / "test", tmp_path / "trials", tmp_path / "test.scores"
        )["trials"]
        == 2
    )
    with pytest.raises(UserError, match="model"):
        score(
            tmp_path / "backend", tmp_path / "other", tmp_path / "trials", tmp_path / "other.scores"
        )


REFUSED = {
    "a name without an id": (
        {
            "dev_dic_embeddings": vectors("No_Body/x_0000001.wav", "Also_None/x_0000001.wav"),
            "eval_dic_embeddings": EVAL,
        },
        "rawnet",
        "2 speakers are not in --meta: 'Also_None', 'No_Body'",
    ),
    "one dictionary for two": (
        DEV,
        "rawnet",
        "dev_dic_embeddings: found nothing, expected a dictionary of utterances",
    ),
    "keys of another kind": (
        DEV,
        "rawnet2_tta",
        "3 of 3 keys are not like id10001/1zcIwhmdeo4/00001: 'A.R._Rahman/QanuGhOhb9A_0000002.wav'",
    ),
    "another size": (
        vectors("id10001/a/00001") | vectors("id10001/a/00002", dimension=9),
        "rawnet2_tta",
        "'id10001/a/00002' is an array of float32 of",
    ),
    "whole numbers": (
        {"id10001/a/00001": np.arange(3)},
        "rawnet2_tta",
        "an array of int64 of shape",
    ),
    "text": ({"id10001/a/00001": "abc"}, "rawnet2_tta", "found str, expected a vector of numbers"),
    "NaN": ({"id10001/a/00001": np.full(3, np.nan)}, "rawnet2_tta", "is NaN or Inf"),
    "one utterance twice": (
        vectors("id10001/a/00001", "id10001/a/00001.wav"),
        "rawnet2_tta",
        "are both utterance id10001-a-00001",
    ),
    "a list": ([1.0], "rawnet2_tta", "found list"),
    "no utterance": ({}, "rawnet2_tta", "found an empty dict"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_imported_is_one_line(tmp_path, meta, fault):
    content, kind, message = REFUSED[fault]
    with pytest.raises(UserError) as caught:
        import_embeddings(
            dump(tmp_path / "x", content),
            tmp_path / "out",
            kind=kind,
            meta=meta if kind == "rawnet" else None,
        )
    print(caught.value)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_lists_that_a_kind_needs_or_does_not_take_are_named(tmp_path, meta):
    source = dump(tmp_path / "x", DEV)
    for options, message in (
        ({"kind": "rawnet"}, "--meta: kind rawnet needs it"),
        ({"kind": "dict"}, "--utt2spk: kind dict needs it"),
        ({"kind": "rawnet2_tta", "meta": meta}, "--meta: kind rawnet2_tta has no such option"),
    ):
        with pytest.raises(UserError, match=message):
            import_embeddings(source, tmp_path / "out", **options)
    with pytest.raises(UserError, match="missing: no such file"):
        import_embeddings(tmp_path / "missing", tmp_path / "out", kind="rawnet2_tta")
    meta.write_text("id10001 A.J._Buckley\n")
    with pytest.raises(UserError, match="vox1_meta.csv:1: expected the titles"):
        import_embeddings(
            dump(tmp_path / "x", {"dev_dic_embeddings": DEV, "eval_dic_embeddings": EVAL}),
            tmp_path / "out",
            kind="rawnet",
            meta=meta,
        )


def test_a_hostile_pickle_is_refused_by_the_command(tmp_path, command):
    (tmp_path / "x.pk").write_bytes(hostile(tmp_path / "touched")["asks for posix.system"])
    done = command(
        "steps.import_embeddings", tmp_path / "x.pk", tmp_path / "out", "--kind", "rawnet2_tta"
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "asks for posix.system" in done.stderr
    assert not (tmp_path / "touched").exists()


def test_the_provenance_states_the_file_and_a_second_run_does_nothing(tmp_path):
    from utils.files import file_sha256

    source = dump(tmp_path / "x", vectors("id10001/a/00001"))
    import_embeddings(source, tmp_path / "out", kind="rawnet2_tta")
    facts = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert facts["source_sha256"] == facts["model"] == file_sha256(source)
    before = (tmp_path / "out" / "xvector.ark").stat().st_mtime_ns
    import_embeddings(source, tmp_path / "out", kind="rawnet2_tta")
    assert (tmp_path / "out" / "xvector.ark").stat().st_mtime_ns == before
