"""Messages for inputs that once broke a reader: one line with the file and what is wrong in it."""

import gzip
import os
import tracemalloc

import h5py  # noqa: F401 - its first import is slow
import numpy as np
import pytest

from local.download.unpack import unpack
from tests.fuzz.kept import kept_inputs
from tests.fuzz.mutations import make_tar
from tests.fuzz.target import Place, write_input
from tests.fuzz.targets import TARGETS
from utils.archive.compressed import decode_quartiles
from utils.cli import one_line_message
from utils.errors import UserError

SAID = {  # of the kept inputs, where the reader says more than that a file is damaged
    "scp": {
        "packed_entry_without_offset": (
            "utterance 'w0': found 'x.ark', expected <archive>:<offset>; pack it again"
        ),
        "packed_offset_of_20_digits": (
            "utterance 'w0': found 'x.ark:99999999999999999999', expected <archive>:<offset>"
        ),
        "packed_utterance_without_length": (
            "utterance 'w0': none samples in utt2num_samples, expected their number"
        ),
        "packed_negative_length": "utterance 'w0': -1 samples in utt2num_samples",
        "no_features": "no features, expected utterances in feats.scp",
        "packed_archive_that_is_a_pipe": "../pipe: not a regular file; run stage 2",
        "packed_archive_with_nul": "not a regular file",
    },
    "data_dir": {
        "wave_that_is_a_pipe": (
            "wav.scp:1: '../pipe' cannot be read: cannot be opened: no regular file"
        ),
        "table_header_of_a_megabyte": "table.csv:1: field larger than field limit",
        "table_column_of_300_letters": "table.csv:1: a column of 300 letters, 'aaaa",
        "segment_that_ends_at_1e308_s": (
            "segments:3: 'b-1' ends at 1e308 s, expected at most the 0.025 s of 'r2'"
        ),
    },
    "yaml": {
        "aliases_of_aliases": (
            "x.yaml: more than 100,000 values, with those that its aliases repeat; expected "
            "settings"
        ),
        "date_that_is_none": (
            "x.yaml:1: a value of kind 'timestamp', which no setting has; put text in quotes"
        ),
        "int_that_is_none": "x.yaml:1: not a valid value",
        "nested_600_times": "x.yaml: nested too deeply; expected settings",
        "number_of_20000_bits": "x.yaml:1: a whole number of more than 64 bits",
    },
    "json": {
        "results_cut": "results.json: not a list of JSON objects (Expecting property name",
        "provenance_nested_5000_times": "nested too deeply",
        "receipt_without_outputs": (
            "receipt.json: not a receipt; remove it to have the work done again"
        ),
        "receipt_of_a_device": "is missing",
    },
    "checkpoints": {
        "network_that_is_a_list": (
            "not a whole checkpoint of tensors and plain values (its step is not a number, or "
            "its network not a dict of tensors)"
        ),
        "expanded_weights": "its network not a dict of tensors",
        "name_of_a_megabyte": "(a name in it is too long)",
        "npz_of_a_terabyte": (
            "embeddings.npy is an array of 1,099,511,627,776 bytes, of which the file has 81"
        ),
        "hdf5_of_a_terabyte": (
            "embeddings is an array of 2,199,023,255,552 bytes, of which the file has 0"
        ),
    },
    "tar": {
        "tar_file_as_a_folder": "a member cannot have its name here (Not a directory)",
        "tar_header_of_8_gigabytes": "a header of 8,589,934,592 bytes",
        "tar_long_name": "a member cannot have its name here (File name too long)",
        "zip_encrypted": "is encrypted, password required",
        "zip_without_a_name": "member '' is refused: no name for a file",
    },
}


@pytest.mark.parametrize(("name", "kept"), [(name, kept) for name in SAID for kept in SAID[name]])
def test_a_kept_input_is_refused_in_words(tmp_path, monkeypatch, name, kept):
    place = Place(tmp_path / "given", tmp_path / "output")
    place.output.mkdir()
    os.mkfifo(tmp_path / "pipe")
    write_input(kept_inputs(name)[kept], place.given)
    monkeypatch.chdir(place.given)
    said = []
    for reader in TARGETS[name].readers.values():
        try:
            reader(place)
        except UserError as error:
            said.append(one_line_message(error))
    print(*dict.fromkeys(said), sep="\n")
    assert any(SAID[name][kept] in line for line in said), said
    assert not any("\n" in line or len(line) > 2000 for line in said)


def test_of_a_line_of_a_megabyte_beginning_and_end_are_said():
    line = one_line_message(UserError(f"x:1: found '{'a' * 10**6}', expected a number"))
    assert line.startswith("x:1: found 'aaa")
    assert line.endswith("aaa', expected a number")
    assert len(line) == 2000
    assert one_line_message(UserError("x:1: short")) == "x:1: short"


@pytest.mark.parametrize("kind", ["gz", "tar"])
@pytest.mark.slow
def test_a_small_archive_does_not_fill_the_disk(tmp_path, kind):
    """200 MB of zeros in 1 MB are refused before all are written; 200 MB may hold them."""
    zeros = make_tar([(f"{number}.wav", {}, bytes(10 << 20)) for number in range(20)])
    (tmp_path / "x.tar").write_bytes(gzip.compress(zeros, 1, mtime=0) if kind == "gz" else zeros)
    if kind == "tar":
        assert unpack(tmp_path / "x.tar", tmp_path / "out") == 20
        return
    with pytest.raises(
        UserError,
        match=(
            "x.tar: member '.*.wav' is refused: the content is more than 100 times the archive's "
            "size; get the archive from elsewhere"
        ),
    ):
        unpack(tmp_path / "x.tar", tmp_path / "out")
    written = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    print(f"{(tmp_path / 'x.tar').stat().st_size:,} bytes of archive, {written:,} bytes written")
    assert written <= 100 * (tmp_path / "x.tar").stat().st_size + (64 << 20)
    assert written < 160 << 20


def test_a_wide_compressed_matrix_takes_memory_by_its_size():
    """Each column takes a table of kilobytes: a thousand times a matrix of one row."""
    columns = 20_000
    quartiles = np.tile(np.array([0, 20_000, 40_000, 65_535], np.uint16), (columns, 1))
    codes = (np.arange(columns) % 256).astype(np.uint8)[:, None]
    tracemalloc.start()
    decoded = decode_quartiles(-1.0, 2.0, quartiles, codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{peak / 2**20:.0f} MiB for {columns:,} values")
    assert peak < 30 << 20
    assert decoded.shape == (1, columns)
    assert np.array_equal(
        decoded[:, :256], decode_quartiles(-1.0, 2.0, quartiles[:256], codes[:256])
    )
    assert np.array_equal(decoded[:, 1024:1280], decoded[:, :256])
