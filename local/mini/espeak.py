"""Speech from espeak-ng's library: the same bytes for the same request, in any number of processes.

espeak-ng carries state from one utterance to the next. So a helper process (``python -m
local.mini.espeak``: standard library only, one thread) initialises the library and never speaks
itself: it forks one child per request, which sets the library's random seed, speaks and exits.

Why espeak-ng, and not a source-filter model of our own: it has pronunciation, coarticulation,
prosody and eight English accents for any text, its voice files set what speakers differ in
(formants, pitch, roughness, breath ...), and an utterance takes 20 ms. espeak-ng is under the GPL,
version 3 or later; the wheel espeakng-loader has its library and data, which a separate process
uses at run time: nothing of them is in this repository.
"""

import ctypes
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from utils.errors import UserError

SAMPLE_RATE_HZ = 22050
DATA_NAMES = (  # files that English needs
    "phontab",
    "phonindex",
    "phondata",
    "phondata-manifest",
    "intonations",
    "en_dict",
    "lang",
)
VOICE = "speaker"  # the one voice file of the helper process
# AUDIO_OUTPUT_SYNCHRONOUS, espeakINITIALIZE_DONT_EXIT, espeakRATE, espeakCHARS_UTF8
SYNCHRONOUS, DONT_EXIT, RATE, UTF8 = 2, 0x8000, 1, 1


class Espeak:
    """A running helper process; a context manager.

    UserError: the package espeakng-loader is not installed.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ModuleNotFoundError:
            raise UserError(
                "local.mini.espeak: no package 'espeakng_loader', which synthesises the generated "
                "corpus; pip install espeakng-loader"
            ) from None
        command = [
            sys.executable,
            "-m",
            "local.mini.espeak",
            espeakng_loader.get_library_path(),
            espeakng_loader.get_data_path(),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert self._process.stdin is not None  # pipes, as asked for
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def speak(
        self, text: str, *, accent: str, voice: str, words_per_minute: int, seed: int
    ) -> bytes:
        """Little-endian 16-bit samples of an English text at `SAMPLE_RATE_HZ`.

        ``accent`` is a file of espeak-ng's ``lang``, such as ``gmw/en-US``; ``voice`` the content
        of a voice variant file (``formant``, ``pitch``, ``breath`` ... lines); ``words_per_minute``
        is in [80, 450]; ``seed``, for flutter and breath noise, in [0, 2**31).
        """
        request = {
            "text": text,
            "accent": accent,
            "voice": voice,
            "words_per_minute": words_per_minute,
            "seed": seed,
        }
        self._requests.write(json.dumps(request).encode() + b"\n")
        self._requests.flush()
        header = self._answers.read(4)
        num_bytes = 0
        if len(header) == 4:
            (num_bytes,) = struct.unpack("<i", header)
        if not num_bytes:
            raise RuntimeError(f"espeak-ng gave no samples for {request}")
        return self._answers.read(num_bytes)

    def close(self) -> None:
        """End the process."""
        self._requests.close()
        self._answers.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def serve(library_path: str, data_path: str) -> None:
    """Answer requests (a JSON object a line) of stdin with a number of bytes (int32) and samples.

    ``library_path`` and ``data_path`` are espeak-ng's shared library and data folder.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of stdin ends this process
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        data = Path(folder, "espeak-ng-data")
        voice_file = data / "voices" / "!v" / VOICE
        voice_file.parent.mkdir(parents=True)
        for name in DATA_NAMES:
            (data / name).symlink_to(Path(data_path).absolute() / name)
        library = ctypes.CDLL(library_path)
        rate_hz = library.espeak_Initialize(SYNCHRONOUS, 500, folder.encode(), DONT_EXIT)
        if rate_hz != SAMPLE_RATE_HZ:
            raise RuntimeError(f"espeak-ng cannot be initialised from {data_path}")
        for line in sys.stdin:
            request = json.loads(line)
            voice_file.write_text(request["voice"], encoding="ascii")
            child = os.fork()
            if child == 0:
                answer(library, request)
            if os.waitpid(child, 0)[1] != 0:
                raise RuntimeError(f"espeak-ng's process crashed on {request}")


def answer(library: ctypes.CDLL, request: dict) -> None:
    """In a forked child: speak, write the samples to stdout and end the process.

    The library is initialised and has never spoken; a request has the arguments of `Espeak.speak`.
    """
    chunks = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def collect(samples, num_samples, events):
        if samples and num_samples > 0:
            chunks.append(ctypes.string_at(samples, 2 * num_samples))
        return 0

    library.espeak_SetSynthCallback(collect)
    if library.espeak_SetVoiceByName(f"{request['accent']}+{VOICE}".encode()) == 0:
        library.espeak_SetParameter(RATE, request["words_per_minute"], 0)
        library.espeak_ng_SetRandSeed(ctypes.c_long(request["seed"]))
        text = request["text"].encode() + b"\0"
        library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, UTF8, None, None)
    samples = b"".join(chunks)
    with open(1, "wb", closefd=False) as stdout:
        stdout.write(struct.pack("<i", len(samples)) + samples)
    os._exit(0)


if __name__ == "__main__":
    serve(*sys.argv[1:])
