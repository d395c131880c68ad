"""Speakers who differ as people do: the voices of the generated corpora.

A speaker is a set of numbers (vocal tract, pitch, voice quality, manner, accent) that becomes a
voice of espeak-ng. Each utterance is a session of its own: a little higher or lower, faster or
slower, hoarser or clearer. All is drawn from seeds; `synthesise` is a pure function.
"""

from dataclasses import dataclass

import numpy as np

from local.mini.espeak import SAMPLE_RATE_HZ as ESPEAK_RATE_HZ
from local.mini.espeak import Espeak
from utils.audio import resample

SAMPLE_RATE_HZ = 16000
SPEECH_RMS = 0.05
ACCENTS = (
    "en-US",
    "en",
    "en-GB-scotland",
    "en-GB-x-rp",
    "en-GB-x-gbclan",
    "en-GB-x-gbcwmd",
    "en-029",
    "en-US-nyc",
)

PITCH_HZ = {"m": 88.0, "f": 158.0}  # median of the lowest pitch
# Mean of the formants, relative to espeak-ng's own voice: women's vocal tracts are shorter.
TRACT_SCALE = {"m": 1.0, "f": 1.14}
# Relative standard deviations among speakers, and among the utterances of one speaker.
SPEAKER_SPREAD = {
    "pitch": 0.14,
    "rate": 0.12,
    "tract": 0.05,
    "formant": 0.05,
    "strength": 0.2,
    "tone": 0.3,
    "voicing": 0.15,
    "consonants": 0.25,
}
SESSION_SPREAD = {"pitch": 0.06, "rate": 0.08, "tract": 0.01, "tone": 0.12, "breath": 0.35}


@dataclass(frozen=True)
class Speaker:
    """A person's voice; formants and levels are relative to espeak-ng's own voice."""

    name: str
    sex: str  # m or f
    accent: str  # one of `ACCENTS`
    formant_scale: tuple[float, ...]  # frequency of formants 0 to 5
    formant_strength: tuple[float, ...]  # their levels
    formant_width: tuple[float, ...]  # their bandwidths
    pitch_hz: float  # the lowest
    pitch_range: float  # highest divided by lowest
    rate: float  # words per minute
    roughness: float  # uneven voice periods, in [0, 7]
    flutter: float  # wavering of the pitch, in espeak-ng's units
    breath: float  # noise at the formants, in espeak-ng's units
    tone: tuple[float, ...]  # levels of voiced sounds at 0.5, 1.2, 2.2 and 3.5 kHz
    voicing: float  # level of voiced sounds
    consonants: float  # level of consonants' noise


def make_speakers(count: int, seed: int, *, first: int = 1) -> list[Speaker]:
    """Draw speakers ``f001``, ``m002`` ..., from the number ``first`` on.

    A speaker depends on the seed and its own number alone.
    """
    return [_draw_speaker(number, seed) for number in range(first, first + count)]


def _draw_speaker(number: int, seed: int) -> Speaker:
    """One of the speakers of `make_speakers`."""
    rng = np.random.default_rng([seed, number])
    sex = "m"
    if number % 2:
        sex = "f"
    tract = TRACT_SCALE[sex] * _varied(SPEAKER_SPREAD["tract"], rng)
    return Speaker(
        name=f"{sex}{number:03d}",
        sex=sex,
        accent=ACCENTS[rng.integers(len(ACCENTS))],
        formant_scale=tuple(tract * _varied_array(SPEAKER_SPREAD["formant"], rng, 6)),
        formant_strength=tuple(_varied_array(SPEAKER_SPREAD["strength"], rng, 6)),
        formant_width=tuple(_varied_array(SPEAKER_SPREAD["strength"], rng, 6)),
        pitch_hz=PITCH_HZ[sex] * _varied(SPEAKER_SPREAD["pitch"], rng),
        pitch_range=rng.uniform(1.2, 1.8),
        rate=175 * _varied(SPEAKER_SPREAD["rate"], rng),
        roughness=rng.uniform(0, 5),
        flutter=rng.uniform(0, 12),
        breath=max(0.0, rng.normal(4, 8)),
        tone=tuple(_varied_array(SPEAKER_SPREAD["tone"], rng, 4)),
        voicing=_varied(SPEAKER_SPREAD["voicing"], rng),
        consonants=_varied(SPEAKER_SPREAD["consonants"], rng),
    )


def _varied(spread: float, rng: np.random.Generator) -> float:
    """A factor around 1, log-normal."""
    return np.exp(spread * rng.standard_normal())


def _varied_array(spread: float, rng: np.random.Generator, count: int) -> np.ndarray:
    """Factors around 1, log-normal."""
    return np.exp(spread * rng.standard_normal(count))


def _voice_file(speaker: Speaker, rng: np.random.Generator) -> str:
    """espeak-ng's voice variant of a speaker in one session."""
    pitch_hz = speaker.pitch_hz * _varied(SESSION_SPREAD["pitch"], rng)
    tract = _varied(SESSION_SPREAD["tract"], rng)
    tone = np.array(speaker.tone) * _varied_array(SESSION_SPREAD["tone"], rng, 4)
    # Of 255; espeak-ng's own: 170, 135, 110.
    levels = np.clip(np.array([170, 135, 110, 110]) * tone, 10, 255)
    pairs = zip((500, 1200, 2200, 3500), levels, strict=True)
    tone_levels = " ".join(f"{hz} {level:.0f}" for hz, level in pairs)
    breath = speaker.breath * _varied(SESSION_SPREAD["breath"], rng)
    lines = [
        "language variant",
        "name speaker",
        f"pitch {pitch_hz:.0f} {pitch_hz * speaker.pitch_range:.0f}",
        f"roughness {np.clip(speaker.roughness + rng.standard_normal(), 0, 7):.0f}",
        f"flutter {speaker.flutter:.0f}",
        "breath 0" + 6 * f" {breath:.0f}",
        f"tone {tone_levels}",
        f"voicing {100 * speaker.voicing:.0f}",
        f"consonants {100 * speaker.consonants:.0f} {100 * speaker.consonants:.0f}",
    ]
    formants = zip(
        speaker.formant_scale, speaker.formant_strength, speaker.formant_width, strict=True
    )
    for n, (scale, strength, width) in enumerate(formants):
        lines.append(
            f"formant {n} {100 * scale * tract:.0f} {100 * strength:.0f} {100 * width:.0f}"
        )
    return "\n".join(lines) + "\n"


def synthesise(espeak: Espeak, speaker: Speaker, text: str, seed: int) -> np.ndarray:
    """(n,) float32 samples of an English text at `SAMPLE_RATE_HZ`, without echo or noise.

    Silence at the ends is cut; the root mean square is `SPEECH_RMS`; the seed is of the session.
    """
    rng = np.random.default_rng(seed)
    voice = _voice_file(speaker, rng)
    words_per_minute = int(np.clip(speaker.rate * _varied(SESSION_SPREAD["rate"], rng), 90, 300))
    answer = espeak.speak(
        text,
        accent=f"gmw/{speaker.accent}",
        voice=voice,
        words_per_minute=words_per_minute,
        seed=int(rng.integers(2**31)),
    )
    samples = resample(
        np.frombuffer(answer, "<i2").astype(np.float32), ESPEAK_RATE_HZ, SAMPLE_RATE_HZ
    )
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1]
    return samples * np.float32(SPEECH_RMS / np.sqrt(np.mean(samples**2)))
