"""Files of galleries: private, whole or not there, of one model; nothing removed stays behind."""

import base64
import builtins
import fcntl
import json
import os
import signal
import threading

import numpy as np
import pytest

from utils.errors import UserError
from utils.galleries import files as gallery_files
from utils.galleries.files import (
    Person,
    checked_name,
    read_gallery,
    remove_person,
    update_gallery,
)

MODEL = "a" * 64


def make_person(name, num_files=2, seed=0):
    rng = np.random.default_rng([seed, len(name)])
    vectors = rng.normal(size=(num_files, 16)).astype(np.float32)
    return Person(name, vectors, "2026-01-01T00:00:00Z")


def add(path, *people):
    for person in people:
        update_gallery(path, lambda gallery, person=person: gallery.with_person(person), MODEL)


def holds(folder, person):
    """Whether a file of a folder has a vector of a person, or the name, in any form."""
    wanted = [person.name.encode(), base64.b64encode(person.vectors.tobytes())]
    for vector in person.vectors:
        wanted += [vector.tobytes(), base64.b64encode(vector.tobytes())[:-8]]
    contents = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    return any(part in content for part in wanted for content in contents)


ANN, BOB = make_person("Ann"), make_person("Bobby", 1)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "gallery.json"
    add(path, BOB, ANN)
    gallery = read_gallery(path, MODEL)
    assert list(gallery.people) == ["Ann", "Bobby"]
    assert gallery.model == MODEL
    for person in (ANN, BOB):
        found = gallery.people[person.name]
        np.testing.assert_array_equal(found.vectors, person.vectors)
        assert found.vectors.dtype == np.float32
        assert (found.num_files, found.enrolled) == (person.num_files, person.enrolled)


def test_every_file_is_private_from_the_first_byte_on(tmp_path, monkeypatch):
    modes = {}

    def looking(function):
        def call(*args, **kwargs):
            result = function(*args, **kwargs)
            for file in os.listdir(tmp_path):
                modes.setdefault(file, set()).add((tmp_path / file).stat().st_mode & 0o777)
            return result

        return call

    for module, name in (
        (os, "open"),
        (builtins, "open"),
        (fcntl, "flock"),
        (os, "fsync"),
        (os, "replace"),
    ):
        monkeypatch.setattr(module, name, looking(getattr(module, name)))
    before = os.umask(0)
    try:
        add(tmp_path / "gallery.json", ANN)
        remove_person(tmp_path / "gallery.json", "Ann")
    finally:
        os.umask(before)
    assert modes == {
        name: {0o600} for name in ("gallery.json", ".gallery.json.tmp", ".gallery.json.lock")
    }


def test_a_leftover_that_others_may_read_is_replaced_by_a_private_one(tmp_path):
    leftover = tmp_path / ".gallery.json.tmp"
    leftover.touch(mode=0o644)
    add(tmp_path / "gallery.json", ANN)
    assert os.listdir(tmp_path) == ["gallery.json"]
    assert (tmp_path / "gallery.json").stat().st_mode & 0o777 == 0o600


def test_nothing_of_a_removed_person_stays_behind(tmp_path):
    path = tmp_path / "gallery.json"
    add(path, ANN, BOB)
    assert holds(tmp_path, ANN)
    remove_person(path, "Ann")
    assert not holds(tmp_path, ANN)
    assert holds(tmp_path, BOB)
    assert os.listdir(tmp_path) == ["gallery.json"]


def test_nothing_stays_behind_a_link(tmp_path):
    target, link = tmp_path / "store" / "people.json", tmp_path / "gallery.json"
    add(target, ANN, BOB)
    link.symlink_to(target)
    remove_person(link, "Ann")
    assert link.is_symlink()
    assert not holds(tmp_path, ANN)


def test_a_file_with_a_second_name_is_refused(tmp_path):
    path, other = tmp_path / "gallery.json", tmp_path / "copy.json"
    add(path, ANN)
    os.link(path, other)
    with pytest.raises(UserError, match="2 names .hard links."):
        remove_person(path, "Ann")
    other.unlink()
    remove_person(path, "Ann")


def die_at(name, call_number, after, work):
    """Do it in a child that is killed before or after a call of a function of os."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    plain = getattr(os, name)
    calls = [0]

    def call(*args, **kwargs):
        calls[0] += 1
        if calls[0] == call_number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = plain(*args, **kwargs)
        if calls[0] == call_number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(os, name, call)
    try:
        work()
    finally:
        os._exit(0)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("name", "call_number"), [("open", 1), ("open", 2), ("fsync", 1), ("fsync", 2), ("replace", 1)]
)
def test_a_killed_writer_leaves_the_gallery_before_or_after(tmp_path, name, call_number, after):
    path = tmp_path / "gallery.json"
    add(path, BOB)
    assert die_at(name, call_number, after, lambda: add(path, ANN))
    people = read_gallery(path).people
    assert people.keys() in ({"Bobby"}, {"Ann", "Bobby"})
    if "Ann" in people:
        remove_person(path, "Ann")
    else:
        with pytest.raises(UserError, match="nobody called 'Ann'"):
            remove_person(path, "Ann")
    assert not holds(tmp_path, ANN)
    assert os.listdir(tmp_path) == ["gallery.json"]


def test_a_change_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "gallery.json"
    add(path, ANN)
    content = path.read_bytes()

    def fail(gallery):
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        update_gallery(path, fail, MODEL)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["gallery.json"]


def test_a_second_writer_is_refused_while_the_first_is_at_work(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery_files, "WAIT_SECONDS", 0.05)
    path = tmp_path / "gallery.json"
    begun, go_on = threading.Event(), threading.Event()

    def slowly(gallery):
        begun.set()
        assert go_on.wait(30)
        return gallery.with_person(ANN)

    writer = threading.Thread(target=update_gallery, args=(path, slowly, MODEL))
    writer.start()
    assert begun.wait(30)
    with pytest.raises(UserError, match="another process is writing this gallery"):
        add(path, BOB)
    go_on.set()
    writer.join()
    assert read_gallery(path).people.keys() == {"Ann"}


def test_writers_at_the_same_time_lose_nobody(tmp_path):
    path = tmp_path / "gallery.json"
    names = [f"person {number}" for number in range(8)]
    children = []
    for name in names:
        child = os.fork()
        if not child:
            code = 1
            try:
                add(path, make_person(name, 1))
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(names)
    assert list(read_gallery(path).people) == names
    assert os.listdir(tmp_path) == ["gallery.json"]


def test_a_truncated_or_changed_gallery_is_refused(tmp_path):
    path = tmp_path / "gallery.json"
    add(path, ANN)
    content = path.read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="not a gallery"):
            read_gallery(path)
    path.write_bytes(content.replace(b"Ann", b"Eve"))
    with pytest.raises(UserError, match="its content has changed"):
        read_gallery(path)
    path.write_text("[]")
    with pytest.raises(UserError, match="not a gallery"):
        read_gallery(path)


def test_a_gallery_of_a_newer_format_or_another_model_is_refused(tmp_path):
    path = tmp_path / "gallery.json"
    add(path, ANN)
    with pytest.raises(UserError, match=r"of model aaaaaaaaaaaa, this one is b{12};.*--rebuild"):
        read_gallery(path, "b" * 64)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format": 2}))
    with pytest.raises(UserError, match="format 2, this version reads up to 1; update"):
        read_gallery(path)


def test_no_gallery_no_folder(tmp_path):
    with pytest.raises(UserError, match="no such gallery"):
        remove_person(tmp_path / "missing" / "gallery.json", "Ann")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/", "..", "Müller, Jörg", "null", "علی\u200cرضا", "a" * 500, "-x"]
)
def test_a_name_is_text_and_no_path(tmp_path, name):
    path = tmp_path / "deep" / "gallery.json"
    person = make_person(checked_name(name))
    add(path, person)
    assert read_gallery(path).people.keys() == {name}
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    remove_person(path, name)
    assert not read_gallery(path).people


def test_two_spellings_of_a_letter_are_one_name():
    assert checked_name("Rene\u0301") == checked_name("René")


@pytest.mark.parametrize("name", ["", " ", "Ann ", "Ann\nBob", "a\tb", "a\x00", "\udcff", "\u200d"])
def test_a_name_that_is_no_line_of_text_is_refused(name):
    with pytest.raises(UserError, match="expected printable characters in one line"):
        checked_name(name)
