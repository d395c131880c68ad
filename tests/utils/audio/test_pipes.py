"""Shell pipes of a wav.scp: commands ended by a reader that has enough have not failed."""

import shutil

import numpy as np
import pytest
import soundfile

from utils.audio import audio_info, read_audio
from utils.audio.pipes import run_entry
from utils.errors import UnreadableAudio

RATE = 16000
WHOLE = {
    "two commands": "cat /dev/zero | head -c 5",
    "three, of which two are ended": "cat /dev/zero | cat | head -c 5",
    "two that have enough": "cat /dev/zero | head -c 9 | head -c 5",
    "brackets": "(cat /dev/zero | head -c 5)",
    "brackets behind a bar": "cat /dev/zero | (cat | head -c 5)",
    "braces": "{ cat /dev/zero | head -c 5; }",
    "a list": "true && cat /dev/zero | head -c 5",
    "a function": "f() { cat /dev/zero | head -c 5; }; f",
    "a loop": "for n in 1; do cat /dev/zero | head -c 5; done",
    "a shell of its own": "bash -c 'cat /dev/zero | head -c 5'",
    "a comment": "cat /dev/zero | head -c 5 # the start",
    "a writer that ignores SIGPIPE": """python3 -c 'while True: print(1)' | head -c 5""",
    "an earlier command's failure, as in any shell": "false; printf 12345",
}
FAILED = {
    "the last": ("cat /dev/zero | false", 1),
    "the last by SIGPIPE": ("cat /dev/zero | bash -c 'kill -PIPE $$'", 141),
    "the shell itself by SIGPIPE": ("cat /dev/zero | head -c 5; kill -PIPE $$", 141),
    "the first": ("cat nowhere | head -c 5", 1),
    "the first, and another ended by SIGPIPE": ("cat nowhere | cat /dev/zero | head -c 5", 1),
    "the middle one": ("cat /dev/zero | cat nowhere | head -c 5", 1),
    "the first, and one that ignores SIGPIPE": (
        "cat nowhere | python3 -c 'while True: print(1)' | head -c 5",
        1,
    ),
    "one in brackets": ("(cat nowhere | cat /dev/zero | head -c 5)", 1),
    "one behind a good pipe": ("cat /dev/zero | head -c 5; false", 1),
    "with a status of its own": ("cat /dev/zero | head -c 5; exit 3", 3),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_pipe_whose_reader_had_enough_is_whole(kind):
    assert len(run_entry(f"{WHOLE[kind]} |", True)) == 5


@pytest.mark.parametrize("kind", FAILED)
def test_a_command_that_failed_by_itself_is_a_failure(kind):
    command, code = FAILED[kind]
    with pytest.raises(UnreadableAudio, match=f"ended with exit code {code}\\b"):
        run_entry(f"{command} |", True)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
def test_ffmpeg_ignores_sigpipe_and_is_whole_too():
    command = "ffmpeg -v error -f lavfi -i sine=d=100 -f wav - | head -c 5"
    assert run_entry(f"{command} |", True) == b"RIFF\xff"


@pytest.mark.parametrize(
    "cut",
    [
        "cat {} | head -c {}",
        "(cat {} | head -c {})",
        "cat {} | cat | head -c {} | cat",
        "head -c {1} {0}",
        "dd if={} bs={} count=1 2>/dev/null",
        "cat {} | python3 -c 'import sys; sys.stdout.buffer.write(sys.stdin.buffer.read({}))'",
    ],
)
@pytest.mark.parametrize("seconds", [1.2, 20])  # fits into the buffer of a pipe, and does not
def test_sound_ends_where_its_command_ends_it(tmp_path, cut, seconds):
    samples = np.random.default_rng(0).integers(-9999, 9999, round(seconds * RATE), np.int16)
    soundfile.write(tmp_path / "x.wav", samples, RATE)
    entry = cut.format(tmp_path / "x.wav", 44 + 2 * RATE) + " |"
    assert audio_info(entry, allow_pipes=True) == (RATE, RATE)
    read, _ = read_audio(entry, allow_pipes=True)
    assert np.array_equal(read * 32768, samples[:RATE])


def test_a_cut_file_that_is_handed_on_as_it_is_stays_a_cut_file(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(RATE), RATE)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "x.wav").read_bytes()[:9000])
    with pytest.raises(UnreadableAudio, match="fewer samples than its header says"):
        read_audio(f"cat {tmp_path / 'cut.wav'} |", allow_pipes=True)
