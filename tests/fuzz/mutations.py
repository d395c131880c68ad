"""Random changes of bytes: damage, wrong lengths, words that do not belong.

Also within zip, gzip and tar, with checksums that fit.
"""

import gzip
import io
import random
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence

MOST_BYTES = 1 << 20  # of an input
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    8,
    16,
    100,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    10**6,
    2**24,
    2**31 - 1,
    2**31,
    -(2**31),
    2**32 - 1,
    2**32,
    2**53,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
)
WORDS = (
    b"",
    b" ",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\x1a",
    b"\x7f",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xed\xa0\x80",
    "\u2028".encode(),
    "\u202e".encode(),
    "\u0660".encode(),
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"-0",
    b"1_0",
    b"0x10",
    b"1e-400",
    b"9" * 30,
    b"9" * 5000,
    b"..",
    b"../",
    b"../../x",
    b"/dev/zero",
    b"/dev/stdin",
    b".",
    b"/",
    b"~",
    b"|",
    b"%s",
    b"{}",
    b"[",
    b"]",
    b"-",
    b":",
    b"#",
    b"'",
    b'"',
    b"\\",
)
TAR_BLOCK = 512


def mutate(
    rng: random.Random, content: bytes, others: Sequence[bytes], tokens: Sequence[bytes]
) -> bytes:
    """Change bytes a few times.

    Parameters
    ----------
    rng : random.Random
        Where every choice comes from.
    content : bytes
        Of one file.
    others : sequence of bytes
        Contents to take pieces from.
    tokens : sequence of bytes
        Words of this kind of file.
    """
    container = next(
        (reopened for magic, reopened in CONTAINERS if content.startswith(magic)), None
    )
    if container and rng.random() < 0.75:
        return container(rng, content, others, tokens)
    if content[257:262] == b"ustar" and rng.random() < 0.6:
        return _with_header_sums(_changed(rng, content, others, tokens))
    return _changed(rng, content, others, tokens)


def _changed(rng, content, others, tokens) -> bytes:
    is_text = b"\0" not in content[:1024]
    operations = [*ANY, *(TEXT * 2 if is_text else BINARY * 2)]
    for _ in range(min(16, 1 + int(rng.expovariate(0.5)))):
        content = rng.choice(operations)(rng, content, others, tokens)[:MOST_BYTES]
    return content


def _place(rng, content) -> int:
    """A position, half of the times among the first bytes, where headers are."""
    return (
        rng.randrange(min(len(content), 64 if rng.random() < 0.5 else len(content)) + 1)
        if content
        else 0
    )


def _flip(rng, content, others, tokens):
    place = _place(rng, content)
    return (
        content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]
        if place < len(content)
        else content
    )


def _byte(rng, content, others, tokens):
    place = _place(rng, content)
    return (
        content[:place]
        + bytes([rng.choice((0, 1, 4, 10, 13, 32, 127, 128, 255, rng.randrange(256)))])
        + content[place + 1 :]
    )


def _cut(rng, content, others, tokens):
    return (
        content[: _place(rng, content)] if rng.random() < 0.7 else content[_place(rng, content) :]
    )


def _delete(rng, content, others, tokens):
    place = _place(rng, content)
    return content[:place] + content[place + rng.choice((1, 2, 4, 8, 64, 1000)) :]


def _insert(rng, content, others, tokens):
    place = _place(rng, content)
    return content[:place] + rng.randbytes(rng.choice((1, 2, 4, 8, 100))) + content[place:]


def _duplicate(rng, content, others, tokens):
    start, place = _place(rng, content), _place(rng, content)
    times = rng.choice((1, 1, 1, 2, 10, 1000))
    return (
        content[:place]
        + content[start : start + rng.choice((1, 4, 16, 200, 4000))] * times
        + content[place:]
    )


def _splice(rng, content, others, tokens):
    other = rng.choice(others) if others else content
    place = _place(rng, content)
    start = place if rng.random() < 0.5 else _place(rng, other)
    return content[:place] + other[start:]


def _number(rng, content, others, tokens):
    """An integer of 1 to 8 bytes in place of those at a position, or theirs a little changed."""
    place, size = _place(rng, content), rng.choice((1, 2, 4, 4, 4, 8))
    order = rng.choice(("little", "little", "big"))
    value = (
        rng.choice(NUMBERS)
        if rng.random() < 0.8
        else int.from_bytes(content[place : place + size], order) + rng.choice((-1, 1, 2, -8))
    )
    return (
        content[:place] + (value % (1 << 8 * size)).to_bytes(size, order) + content[place + size :]
    )


def _float(rng, content, others, tokens):
    value = rng.choice((float("nan"), float("inf"), -1.0, 1e300, 1e-310, 0.0))
    place, kind = _place(rng, content), rng.choice("fd")
    packed = struct.pack(f"<{kind}", min(value, 3e38) if kind == "f" and value == 1e300 else value)
    return content[:place] + packed + content[place + len(packed) :]


def _token(rng, content, others, tokens):
    place = _place(rng, content)
    return content[:place] + rng.choice([*tokens, *WORDS]) + content[place:]


def _word(rng, content, others, tokens):
    """Another word in the place of one."""
    words = list(re.finditer(rb"[^\s,]+", content[: 1 << 16]))
    if not words:
        return rng.choice([*tokens, *WORDS])
    old, drawn = rng.choice(words), rng.random()
    new = (
        rng.choice(words)[0]
        if drawn < 0.3
        else rng.choice(tokens or WORDS)
        if drawn < 0.7
        else rng.choice(WORDS)
    )
    return content[: old.start()] + new + content[old.end() :]


def _digits(rng, content, others, tokens):
    """Another number in the place of one."""
    runs = list(re.finditer(rb"-?\d+", content[: 1 << 16]))
    if not runs:
        return content + b"%d" % rng.choice(NUMBERS)
    old = rng.choice(runs)
    new = rng.choice(
        [
            *(b"%d" % number for number in NUMBERS),
            b"9" * 25,
            b"9" * 5000,
            b"1e400",
            b"nan",
            b"-1",
            b"1.5",
            "\u0663".encode(),
        ]
    )
    return content[: old.start()] + new + content[old.end() :]


def _lines(rng, content, others, tokens):
    """A line repeated, moved, taken away, or all of them shuffled."""
    lines = content.split(b"\n")[:2000]
    way, place = rng.randrange(5), rng.randrange(len(lines))
    if way == 0:
        lines[place:place] = [lines[place]] * rng.choice((1, 2, 50))
    elif way == 1:
        lines.insert(place, lines.pop(rng.randrange(len(lines))))
    elif way == 2:
        del lines[place]
    elif way == 3:
        rng.shuffle(lines)
    else:
        lines[place] = lines[place].replace(
            b" ", rng.choice((b"  ", b"\t", b"", b"\x0b", "\u00a0".encode()))
        )
    return b"\n".join(lines)


def _line_ends(rng, content, others, tokens):
    return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\n ", b"\0\n", b"")))


def _long(rng, content, others, tokens):
    """A very long run of one word."""
    place = _place(rng, content)
    word = rng.choice([b"a", b"[", b"(", b"{", b"- ", b" ", b"0", b"a: ", b"../", *tokens])
    return (
        content[:place]
        + word * min(rng.choice((100, 5000, 100_000)), MOST_BYTES // len(word) + 1)
        + content[place:]
    )


ANY = (_flip, _byte, _cut, _delete, _insert, _duplicate, _splice)
BINARY = (_number, _number, _number, _float, _token, _flip, _byte)
TEXT = (_token, _word, _word, _digits, _digits, _lines, _line_ends, _long)


def _in_zip(rng, content, others, tokens):
    """One member of a zip changed, or its name, with sums that are right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [
                (info.filename, info.external_attr, archive.read(info))
                for info in archive.infolist()
            ]
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        OSError,
    ):  # this seed is a damaged one
        return _changed(rng, content, others, tokens)
    if members:
        # of torch's files: what is not the numbers
        short = [
            place
            for place, (name, _, _) in enumerate(members)
            if name.endswith((".pkl", "version", ".npy", "byteorder"))
        ]
        place = rng.choice(short) if short and rng.random() < 0.7 else rng.randrange(len(members))
        name, attributes, member = members[place]
        if rng.random() < 0.15:
            changed = _changed(rng, name.encode(), [], tokens).decode("latin-1")[:1000]
            members[place] = changed, attributes, member
        elif rng.random() < 0.1:
            members.append(members[place]) if rng.random() < 0.5 else members.pop(place)
        else:
            members[place] = (
                name,
                attributes,
                _changed(rng, member, [inner for _, _, inner in members], tokens),
            )
    return make_zip(
        members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    )


def make_zip(
    members: Sequence[tuple[str, int, bytes]], compression: int = zipfile.ZIP_STORED
) -> bytes:
    """A zip of members (name, external attributes, content); the same bytes each time.

    The upper 16 bits of the external attributes are the file's mode.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, attributes, member in members:
            info = zipfile.ZipInfo("x", (1980, 1, 1, 0, 0, 0))
            info.filename = info.orig_filename = name
            info.external_attr, info.compress_type = attributes, compression
            if name in archive.NameToInfo:
                archive.NameToInfo.pop(name)  # twice on purpose: no warning
            archive.writestr(info, member)
    return made.getvalue()


def _in_gzip(rng, content, others, tokens):
    try:
        inner = zlib.decompressobj(31).decompress(content, MOST_BYTES)
    except zlib.error:
        return _changed(rng, content, others, tokens)
    inner = _changed(rng, inner, [], tokens)
    return gzip.compress(_with_header_sums(inner) if rng.random() < 0.8 else inner, 1, mtime=0)


def _with_header_sums(content: bytes) -> bytes:
    """A tar whose headers' checksums are right, whatever else is wrong in them."""
    blocks = bytearray(content)
    for start in range(0, len(blocks) - TAR_BLOCK + 1, TAR_BLOCK):
        if blocks[start + 257 : start + 262] == b"ustar":
            blocks[start + 148 : start + 156] = b" " * 8
            blocks[start + 148 : start + 156] = b"%06o\0 " % sum(blocks[start : start + TAR_BLOCK])
    return bytes(blocks)


def make_tar(members: Sequence[tuple[str, dict, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of members: name, attributes of its TarInfo, content; the same bytes each time."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for name, attributes, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            vars_of = {"type": info.type, **attributes}
            for attribute, value in vars_of.items():
                setattr(info, attribute, value)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


CONTAINERS: tuple[tuple[bytes, Callable], ...] = ((b"PK\3\4", _in_zip), (b"\x1f\x8b", _in_gzip))
