"""Damaged, wrong and hostile archives and scp files: one line with file, key and offset."""

import re
import struct
import tracemalloc
import wave
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.utils.archive.cases import GOLDEN, OBJECTS, VECTOR, refusal, same, write
from utils.archive import (
    iterate_archive,
    iterate_scp,
    read_matrix,
    read_object,
    read_scp,
    read_vector,
    read_vectors,
    read_wave,
)
from utils.archive.objects import MalformedObject, decode_object, encode_object, encode_wave
from utils.errors import UserError


def one_line(message):
    return "\n" not in message and message.isprintable()


@pytest.mark.parametrize("text", [False, True])
def test_an_archive_cut_at_any_byte_is_a_valid_prefix_or_an_error_that_names_it(tmp_path, text):
    ark, scp = write(tmp_path, OBJECTS, text=text)
    whole, content = dict(iterate_archive(ark)), ark.read_bytes()
    for length in range(len(content)):
        ark.write_bytes(content[:length])
        found = {}
        message = refusal(lambda: found.update(iterate_archive(ark)))  # noqa: B023  (called at once)
        assert message == "" or (re.match(rf"{ark}:\d+: ", message) and one_line(message))
        assert list(found) == list(whole)[: len(found)]
        assert len(found) < len(whole)
        assert all(same(found[key], whole[key]) for key in found)
        message = refusal(lambda: list(iterate_scp(scp)))
        assert re.search(rf"{ark}:.*key '", message)
        assert one_line(message)
    print(f"{len(content)} lengths")


def encoded_objects():
    return [
        *(
            encode_object(array, text=text)
            for array in OBJECTS.values()
            if array.dtype != np.int16
            for text in (False, True)
        ),
        encode_wave(OBJECTS["wave"], 8000),
        (GOLDEN / "mats_compressed.ark").read_bytes()[3:],
    ]


@settings(max_examples=500, deadline=None)
@given(
    content=st.sampled_from(encoded_objects()),
    changes=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_a_damaged_object_is_read_or_refused_but_never_crashes(content, changes):
    damaged = bytearray(content)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    with suppress(MalformedObject):
        array, end = decode_object(bytes(damaged), 0)
        assert 0 < end <= len(content)
        assert array.nbytes <= 8 * len(content)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(min_size=1, max_size=80))
def test_random_bytes_are_never_a_crash(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.ark"
    path.write_bytes(content)
    for read in (
        lambda: list(iterate_archive(path)),
        lambda: read_object(path),
        lambda: read_scp(path),
    ):
        message = refusal(read)
        assert message == "" or (str(path) in message and one_line(message))


@pytest.mark.parametrize("shift", [-3, -1, 1, 2, 5, 10**6, 10**17])
@pytest.mark.parametrize("text", [False, True])
def test_a_wrong_offset_is_named(tmp_path, shift, text):
    ark, scp = write(tmp_path, {"a": VECTOR, "bb": VECTOR, "c": VECTOR}, text=text)
    entries = read_scp(scp)
    wrong = int(entries["bb"].rpartition(":")[2]) + shift
    scp.write_text(
        "".join(
            f"{key} {f'{ark}:{wrong}' if key == 'bb' else entry}\n"
            for key, entry in entries.items()
        )
    )
    for read in (read_vectors, lambda scp: list(iterate_scp(scp))):
        with pytest.raises(UserError, match=rf"{ark}:{wrong}: key 'bb': "):
            read(scp)


@pytest.mark.parametrize(
    "header",
    [
        b"\0BFV \4" + struct.pack("<i", 2**31 - 1),
        b"\0BDM \4" + struct.pack("<i", 2**31 - 1) + b"\4" + struct.pack("<i", 2**31 - 1),
        b"\0BFM \4" + struct.pack("<i", 2**31 - 1) + b"\4" + struct.pack("<i", 0),
        b"\0BFV \4" + struct.pack("<i", -5),
        b"\0B\4" + struct.pack("<i", 2**31 - 1),
        b"\0BCM " + struct.pack("<ffii", 0, 1, 2**31 - 1, 2**31 - 1),
        b"\0BCM2 " + struct.pack("<ffii", 0, 1, 2**30, 2**30),
        b"\0BCM3 " + struct.pack("<ffii", 0, 1, -1, 5),
        b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WAVEfmt ",
    ],
)
def test_absurd_sizes_are_refused_before_memory_is_taken(tmp_path, header):
    ark, scp = tmp_path / "x.ark", tmp_path / "x.scp"
    ark.write_bytes(b"a " + header + bytes(1000))
    scp.write_text("".join(f"{key} {ark}:2\n" for key in ("a", "b")))
    tracemalloc.start()
    for read in (lambda: list(iterate_archive(ark)), lambda: read_vectors(scp)):
        with pytest.raises(UserError, match=rf"{ark}:2: key 'a': .*(announces|damaged)"):
            read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


def test_a_key_that_stands_twice_is_named_in_archive_and_scp(tmp_path):
    ark, scp = write(tmp_path, {"a": VECTOR, "b": VECTOR})
    ark.write_bytes(ark.read_bytes() + b"a " + encode_object(VECTOR))
    with pytest.raises(
        UserError, match=rf"{ark}:{ark.stat().st_size - 22}: key 'a': duplicate key"
    ):
        list(iterate_archive(ark))
    scp.write_text(scp.read_text() + f"a {ark}:50\n")
    for read in (read_scp, read_vectors):
        with pytest.raises(
            UserError, match=rf"{scp}:3: duplicate key 'a': with '{ark}:2' and '{ark}:50'"
        ):
            read(scp)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n", r"x.scp:1: found b'a', expected 2 fields"),
        (b"a x.ark:1\n\nb x.ark:2\n", r"x.scp:2: found b'', expected 2 fields"),
        (b"a x.ark:1\r\n", r"x.scp:1: the line ends with CR LF"),
        (b"a x.ark:1\n\xff x.ark:2\n", r"x.scp:2: .*UTF-8"),
        (b"\xef\xbb\xbfa x.ark:1\n", r"x.scp: begins with a byte order mark; .*: sed -i"),
        ("a x.ark:1\n".encode("utf-16"), r"x.scp: begins with the byte order mark of UTF-16"),
    ],
)
def test_malformed_scp_lines_are_named(tmp_path, content, message):
    (tmp_path / "x.scp").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_scp(tmp_path / "x.scp")


def test_entries_keep_what_is_inside_them_and_lose_what_is_around_them(tmp_path):
    """As in Kaldi: only LF ends a line, and only blanks and tabs separate key and entry."""
    odd = "x\u2028y\x85 \t z\x0b\u3000.wav"
    (tmp_path / "x.scp").write_text(f"a \t{odd} \t\n b\tx.ark:12  \n", newline="\n")
    assert read_scp(tmp_path / "x.scp") == {"a": odd, "b": "x.ark:12"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("touch {folder}/ran |", "is a shell pipe and pipes are not run here"),
        ("| cat > {folder}/ran", "is a shell pipe and pipes are not run here"),
        ("{folder}/x.ark:2[0:9]", r"x.ark:2: key 'a': range \[0:9\]: rows 0 to 9 of 3"),
        ("{folder}/x.ark:2[9]", r"key 'a': .*x.ark:2\[9\]': '\[9\]' is not a range, expected"),
        ("{folder}/none.ark:2", "none.ark: key 'a': no such regular file"),
        ("{folder}", "no such regular file"),
        (":12", "key 'a': no such regular file"),
        (
            "{folder}/x.ark",
            (
                r"x.ark:0: key .a.: this is an archive, and the entry has no "
                r"offset.*utils\.archive merge"
            ),
        ),
        ("{folder}/two.vec", "two.vec:0: key 'a': 2 bytes follow the object"),
        ("{folder}/empty:0", "empty:0: key 'a': offset is beyond the end"),
        ("{folder}/pickle:0", "pickle:0: key 'a': no Kaldi object"),
    ],
)
def test_entries_that_cannot_be_read_are_refused_by_name(tmp_path, entry, message):
    write(tmp_path, {"a": VECTOR})
    (tmp_path / "two.vec").write_bytes(encode_object(VECTOR) + b"xx")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "pickle").write_bytes(b"\x80\x04]\x94.")
    (tmp_path / "y.scp").write_text(f"a {entry.format(folder=tmp_path)}\n")
    for read in (
        read_vectors,
        lambda scp: list(iterate_scp(scp)),
        lambda scp: read_object(read_scp(scp)["a"], key="a"),
    ):
        with pytest.raises(UserError, match=message):
            read(tmp_path / "y.scp")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        "[ 1 2",
        "[ 1 2 ] 3\n",
        "[ 1 x ]\n",
        "[ 1_0 ]\n",
        "1_0\n",
        "[\n 1 2\n 3 ]\n",
        "3",
        "3000000000\n",
        "1.5\n",
    ],
)
def test_malformed_text_is_refused(tmp_path, content):
    (tmp_path / "x.txt").write_text(f"a {content}")
    with pytest.raises(UserError, match=r"x.txt:2: key 'a': .*(text|no Kaldi object)"):
        list(iterate_archive(tmp_path / "x.txt"))


def test_a_vector_is_not_taken_for_a_matrix_nor_a_wave_for_either(tmp_path):
    _, scp = write(tmp_path, OBJECTS)
    entries = read_scp(scp)
    for read, key in [
        (read_matrix, "float-vector"),
        (read_vector, "float-matrix"),
        (read_vector, "wave"),
        (read_matrix, "int32-vector"),
    ]:
        with pytest.raises(UserError, match=r"x.ark:\d+: found .*, expected a (vector|matrix)"):
            read(entries[key])
    with pytest.raises(UserError, match="expected a RIFF WAVE header"):
        read_wave(entries["float-vector"])


@pytest.mark.parametrize(("channels", "bits"), [(2, 16), (1, 8)])
def test_waves_of_another_kind_are_refused(tmp_path, channels, bits):
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setparams((channels, bits // 8, 8000, 0, "NONE", ""))
        file.writeframes(bytes(40))
    with pytest.raises(
        UserError, match=f"{channels} channels, {bits} bits; expected 16-bit PCM, one channel"
    ):
        read_wave(tmp_path / "x.wav")
