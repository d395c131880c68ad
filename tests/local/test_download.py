"""Downloads from a server with the faults of real ones, and hostile archives."""

import hashlib
import io
import json
import re
import stat
import tarfile
import zipfile

import pytest

from local.download import __main__ as module
from local.download.__main__ import download
from local.download.table import DOWNLOADS, Archive, Download
from local.download.unpack import unpack
from tests.http_server import Files, serving
from utils import downloads as fetching
from utils.downloads import fetch
from utils.errors import UserError

SOUND = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", 0)


@pytest.fixture
def files():
    return Files({"/a.bin": SOUND})


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


def tar_of(members):
    """Bytes of a .tar.gz; a value that is no bytes is the changed TarInfo."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as file:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
            else:
                for key, value in content.items():
                    setattr(entry, key, value)
            file.addfile(entry, io.BytesIO(content if isinstance(content, bytes) else b""))
    return made.getvalue()


def zip_of(members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return made.getvalue()


@pytest.fixture
def one_set(monkeypatch):
    """A set of one archive in place of those of the table; gives a function that says which."""

    def choose(file, digest, num_bytes=None):
        archives = (Archive(file, "http://127.0.0.1:9/nowhere", num_bytes, digest, "this test"),)
        monkeypatch.setattr(
            module, "DOWNLOADS", {"musan": Download("a test", "page", "free", archives)}
        )

    return choose


def test_the_table_names_no_checksum_that_could_not_be_one():
    for name, wanted in DOWNLOADS.items():
        for archive in wanted.archives:
            assert archive.url.startswith("https://"), name
            assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|", archive.digest), name
            assert archive.source
            assert archive.digest or "no checksum" in archive.source


def test_a_file_is_fetched_checked_and_there_under_its_name_only(tmp_path, files):
    with serving(files) as address:
        assert fetch(f"{address}/a.bin", tmp_path / "in" / "a.bin", len(SOUND), md5(SOUND)) == md5(
            SOUND
        )
        fetch(f"{address}/a.bin", tmp_path / "in" / "a.bin", len(SOUND), md5(SOUND))
    assert (tmp_path / "in" / "a.bin").read_bytes() == SOUND
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.bin"]
    assert len(files.requests) == 1, "what is there is checked and not fetched again"


def test_a_cut_connection_is_gone_on_with_where_it_ended(tmp_path, files):
    files.cut_after = [30_000, 50_000]
    with serving(files) as address:
        fetch(f"{address}/a.bin", tmp_path / "a.bin", None, md5(SOUND))
    assert (tmp_path / "a.bin").read_bytes() == SOUND
    assert [asked for _, asked in files.requests] == ["", "bytes=30000-", "bytes=80000-"]


def test_a_killed_download_is_gone_on_with_by_the_next_command(tmp_path, files, monkeypatch):
    files.cut_after = [40_000] + [0] * fetching.ATTEMPTS
    with serving(files) as address:
        with pytest.raises(
            UserError,
            match="ended after 40,000 of 102,400 bytes, 5 times; 40,000 bytes are kept in",
        ) as caught:
            fetch(f"{address}/a.bin", tmp_path / "a.bin", None, md5(SOUND))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "a.bin").exists()
        fetch(f"{address}/a.bin", tmp_path / "a.bin", None, md5(SOUND))
    assert files.requests[-1][1] == "bytes=40000-"
    assert (tmp_path / "a.bin").read_bytes() == SOUND


def test_a_server_without_ranges_sends_it_all_again(tmp_path, files, capsys):
    files.has_ranges, files.cut_after = False, [30_000]
    with serving(files) as address:
        fetch(f"{address}/a.bin", tmp_path / "a.bin", len(SOUND), md5(SOUND))
    assert (tmp_path / "a.bin").read_bytes() == SOUND
    assert (
        "the server sends the whole file: 30,000 bytes are fetched again" in capsys.readouterr().out
    )


def test_a_file_that_changed_in_between_is_not_put_together_of_two(tmp_path, files):
    files.cut_after = [30_000] + [0] * fetching.ATTEMPTS
    other = SOUND[::-1] + b"more"
    with serving(files) as address:
        with pytest.raises(UserError):
            fetch(f"{address}/a.bin", tmp_path / "a.bin")
        files.content["/a.bin"], files.version = other, '"2"'
        fetch(f"{address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == other


@pytest.mark.parametrize(
    ("num_bytes", "digest"), [(len(SOUND), md5(b"other")), (7, ""), (None, "sha256:" + "0" * 64)]
)
def test_another_file_than_expected_is_moved_aside(tmp_path, files, num_bytes, digest):
    with (
        serving(files) as address,
        pytest.raises(
            UserError, match="fetched 102,400 bytes with .* another file, or damaged"
        ) as caught,
    ):
        fetch(f"{address}/a.bin", tmp_path / "a.bin", num_bytes, digest)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin.wrong"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("{}/none.bin", "the server answers 404"),
        ("file:///etc/hosts", "expected an address that begins with http"),
        ("http://127.0.0.1:9/a.bin", "Connection refused.* 5 times"),
    ],
)
def test_an_address_of_nothing_is_one_line(tmp_path, files, url, message):
    with serving(files) as address, pytest.raises(UserError, match=message):
        fetch(url.format(address), tmp_path / "a.bin")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path, files, monkeypatch):
    monkeypatch.setattr(
        fetching.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})
    )
    with (
        serving(files) as address,
        pytest.raises(UserError, match="102,400 bytes are still to come, 10 are free"),
    ):
        fetch(f"{address}/a.bin", tmp_path / "a.bin")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("set.tar.gz", tar_of({"set/a.wav": SOUND, "set/b/c.wav": b"x"})),
        ("set.zip", zip_of({"set/a.wav": SOUND, "set/b/c.wav": b"x"})),
    ],
)
def test_a_set_is_fetched_from_a_mirror_and_unpacked_whole(
    tmp_path, one_set, capsys, file, content
):
    one_set(file, md5(content), len(content))
    files = Files({f"/mirror/{file}": content})
    with serving(files) as address:
        assert download("musan", tmp_path, url=f"{address}/mirror/") == {
            "archives": 1,
            "bytes": len(content),
            "members": 2,
        }
        assert download("musan", tmp_path, url=address) == {}
    assert (tmp_path / "musan" / "set" / "a.wav").read_bytes() == SOUND
    assert json.loads((tmp_path / "musan.json").read_text())[file]["is_verified"] is True
    assert not list((tmp_path / "archives").iterdir())
    assert "exists already" in capsys.readouterr().out


def test_archives_that_a_death_left_are_removed_and_those_that_were_to_be_kept_stay(
    tmp_path, one_set
):
    content = zip_of({"a": b"1"})
    one_set("set.zip", md5(content))
    with serving(Files({"/set.zip": content})) as address:
        for name, options in (("left", {}), ("kept", {"keep_archives": True})):
            download("musan", tmp_path / name, url=address, **options)
            (tmp_path / name / "archives" / "set.zip").write_bytes(content)
            download("musan", tmp_path / name, url=address)
    assert not (tmp_path / "left" / "archives" / "set.zip").exists()
    assert (tmp_path / "kept" / "archives" / "set.zip").exists()


def test_where_no_checksum_is_published_it_is_said_and_written_down_or_given(
    tmp_path, one_set, capsys
):
    content = zip_of({"a": b"1"})
    one_set("set.zip", "")
    sha256 = hashlib.sha256(content).hexdigest()
    with serving(Files({"/set.zip": content})) as address:
        download("musan", tmp_path / "one", url=address, keep_archives=True)
        said = capsys.readouterr().out
        assert "unverified: no published checksum is known" in said
        assert sha256 in said
        facts = json.loads((tmp_path / "one" / "musan.json").read_text())["set.zip"]
        assert (facts["is_verified"], facts["digest"]) == (False, f"sha256:{sha256}")
        assert (tmp_path / "one" / "archives" / "set.zip").exists()
        with pytest.raises(UserError, match="expected sha256:0000"):
            download("musan", tmp_path / "two", url=address, sha256="0" * 64)
        download("musan", tmp_path / "two", url=address, sha256=sha256.upper())
    assert "unverified" not in capsys.readouterr().out


HOSTILE = {
    "parent.tar": {"../out": b"x"},
    "absolute.tar": {"/out": b"x"},
    "deep.tar": {"a/../../out": b"x"},
    "link.tar": {"a": {"type": tarfile.SYMTYPE, "linkname": "../out"}},
    "hard.tar": {"a": {"type": tarfile.LNKTYPE, "linkname": "../../out"}},
    "absolute_link.tar": {"a": {"type": tarfile.SYMTYPE, "linkname": "/out"}},
    "device.tar": {"a": {"type": tarfile.CHRTYPE}},
    "fifo.tar": {"a": {"type": tarfile.FIFOTYPE}},
    "through.tar": {"a": {"type": tarfile.SYMTYPE, "linkname": ".."}, "a/out": b"x"},
    "parent.zip": {"../out": b"x"},
    "absolute.zip": {"/out": b"x"},
    "windows.zip": {"..\\out": b"x"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_member_lands_outside_the_folder(tmp_path, name):
    archive = tmp_path / "archives" / name
    archive.parent.mkdir()
    archive.write_bytes((tar_of if name.endswith("tar") else zip_of)(HOSTILE[name]))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"{name}: member .* is refused: ") as caught:
        unpack(archive, tmp_path / "in" / "folder")
    print(caught.value)
    assert "\n" not in str(caught.value)
    assert set(tmp_path.rglob("*")) - before <= {tmp_path / "in", tmp_path / "in" / "folder"}


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("a")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "../out")
    with pytest.raises(UserError, match="member 'a' is refused: a link"):
        unpack(tmp_path / "a.zip", tmp_path / "in")


@pytest.mark.parametrize("content", [b"no archive", tar_of({"a": SOUND})[:-300], b""])
def test_a_damaged_archive_is_one_line_and_the_set_is_not_there(tmp_path, one_set, content):
    one_set("set.tar.gz", "")
    with (
        serving(Files({"/set.tar.gz": content})) as address,
        pytest.raises(UserError, match="damaged, or no .zip or .tar"),
    ):
        download("musan", tmp_path, url=address)
    assert not (tmp_path / "musan").exists()


def test_killed_while_unpacking_it_begins_with_the_archive_again(tmp_path, one_set):
    content = tar_of({"a": b"1"})
    one_set("set.tar.gz", md5(content))
    (tmp_path / ".musan.unpacking").mkdir(parents=True)
    (tmp_path / ".musan.unpacking" / "half").write_text("of a member")
    with serving(Files({"/set.tar.gz": content})) as address:
        download("musan", tmp_path, url=address)
    assert [path.name for path in (tmp_path / "musan").iterdir()] == ["a"]


def test_the_command_lists_the_sets_and_refuses_others(command):
    shown = command("local.download", "--help").stdout
    assert "musan,rirs_noises,vctk,noisy_vctk,speechocean762" in shown.replace(" ", "").replace(
        "\n", ""
    )
    assert command("local.download", "voxceleb", "somewhere").returncode == 2
