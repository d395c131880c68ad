"""Target: archives of corpora that were downloaded, tar and zip."""

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile

from local.download.unpack import unpack
from tests.fuzz.mutations import make_tar, make_zip
from tests.fuzz.target import Files, Target
from tests.fuzz.worker import MARKER

LINK, HARD, DEVICE, FIFO, FOLDER = (
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
    tarfile.DIRTYPE,
)


def _tars() -> list[bytes]:
    def to(target, kind=LINK):
        return {"type": kind, "linkname": target}

    plain = [
        ("set/", {"type": FOLDER, "mode": 0o755}, b""),
        ("set/a.wav", {}, b"abc"),
        ("set/b/c.txt", {"mode": 0o600, "uname": "x"}, b"x" * 700),
    ]
    hostile = [
        [("../out", {}, b"x")],
        [(str(MARKER), {}, b"x")],
        [("a/../../out", {}, b"x")],
        [("a", to("../out"), b"")],
        [("a", to("../../out", HARD), b"")],
        [("a", to(str(MARKER)), b""), ("a", {}, b"x")],
        [("a", to(".."), b""), ("a/out", {}, b"x")],
        [("a", to("b"), b""), ("b", to("../.."), b""), ("a/c", {}, b"x")],
        [("a", {"type": DEVICE, "devmajor": 1, "devminor": 5}, b"")],
        [("a", {"type": FIFO}, b"")],
        [("a", {"mode": 0o6777}, b"x")],
        [("d", {"type": FOLDER, "mode": 0}, b""), ("d/x", {}, b"x")],
        [("a", {}, b"1"), ("a", {}, b"2"), ("a/b", {}, b"3")],
        [("a" * 300, {}, b"x")],
        [("a", {"pax_headers": {"path": "../out", "size": "3"}}, b"abc")],
        [("a", {"type": tarfile.GNUTYPE_SPARSE}, bytes(512))],
    ]
    made = [make_tar(members) for members in (plain, *hostile)]
    return [
        *made,
        make_tar(plain, tarfile.PAX_FORMAT),
        make_tar(plain, tarfile.USTAR_FORMAT),
        make_tar(hostile[-2], tarfile.PAX_FORMAT),
    ]


def _zips() -> list[bytes]:
    link = (stat.S_IFLNK | 0o777) << 16
    members = [
        [("set/", 0, b""), ("set/a.wav", 0o644 << 16, b"abc"), ("set/b/c.txt", 0, b"x" * 700)],
        [("../out", 0, b"x")],
        [(str(MARKER), 0, b"x")],
        [("a\\..\\..\\out", 0, b"x")],
        [("C:\\out", 0, b"x")],
        [("a", link, b"../out")],
        [("a", 0, b"1"), ("a", 0, b"2"), ("a/b", 0, b"3")],
        [("a\0b", 0, b"x")],
    ]
    return [
        make_zip(some, kind)
        for some in members
        for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    ]


def _seeds() -> list[Files]:
    tars = _tars()
    zeros = make_tar([(f"{k}.wav", {}, bytes(90_000_000)) for k in range(1)])
    packed = [
        gzip.compress(tars[0], mtime=0),
        gzip.compress(tars[1], mtime=0),
        bz2.compress(tars[0]),
        lzma.compress(tars[0]),
        gzip.compress(zeros, mtime=0),
    ]
    return [{"x.tar": content} for content in [*tars, *_zips(), *packed]]


WORDS = [
    b"../out",
    b"/tmp/out",
    str(MARKER).encode(),
    b"..",
    b"./",
    b"a/",
    b"0",
    b"1",
    b"2",
    b"3",
    b"5",
    b"6",
    b"L",
    b"K",
    b"x",
    b"g",
    b"S",
    b"ustar\0",
    b"ustar  \0",
    b"77777777777\0",
    b"\x80" + b"\xff" * 11,
    b"\xff" * 12,
    b"00000000000\0",
    b"30 path=../../out\n",
    b"PK\1\2",
    b"PK\5\6",
    b"PK\3\4",
    b"\x1f\x8b\x08",
    b"BZh9",
    b"GNU.sparse.size=9999999999999\n",
    b"size=-1\n",
]

TAR = Target(
    "tar",
    {
        "local.download.unpack.unpack": lambda place: unpack(
            place.given / "x.tar", place.output / "unpacked"
        )
    },
    _seeds,
    WORDS,
)
