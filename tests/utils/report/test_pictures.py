"""Pictures of sound: waveforms with decisions, spectrograms, PNG files."""

import io
import re
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from utils.report.colours import PALETTE, SHADES
from utils.report.pictures import (
    colour_scale,
    envelope,
    png,
    spectrogram,
    spectrogram_picture,
    speech_picture,
    standalone,
)
from utils.report.svg import LEFT, RIGHT, Plot

RATE = 16000
SVG = "{http://www.w3.org/2000/svg}"
WIDTH = Plot(x=None, y=None).width - LEFT - RIGHT  # of the drawing inside its margins


def tone(hertz, seconds, rate=RATE, amplitude=1.0):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def shapes(svg, style):
    """Corners of the polygons of a class, as (number, 2) arrays."""
    points = [
        shape.get("points")
        for shape in ElementTree.fromstring(svg).iter(f"{SVG}polygon")
        if shape.get("class") == style
    ]
    return [np.array([pair.split(",") for pair in text.split()], float) for text in points]


def test_the_shaded_stretches_are_the_decisions():
    decisions = np.zeros(200, bool)
    decisions[50:100] = decisions[150:] = True
    svg = speech_picture(tone(100, 2), RATE, decisions, "label")
    first, second = shapes(svg, "speech")
    assert (first[:, 0].min(), first[:, 0].max()) == pytest.approx(
        (LEFT + 0.25 * WIDTH, LEFT + 0.5 * WIDTH), abs=0.06
    )
    assert (second[:, 0].min(), second[:, 0].max()) == pytest.approx(
        (LEFT + 0.75 * WIDTH, LEFT + WIDTH), abs=0.06
    )
    titles = [title.text for title in ElementTree.fromstring(svg).iter(f"{SVG}title")]
    assert titles == ["speech from 0.50 to 1.00 s", "speech from 1.50 to 2.00 s"]


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_as_many_frames_are_shaded_as_are_speech(decisions):
    svg = speech_picture(np.full(160 * len(decisions), 0.5), RATE, np.array(decisions), "x")
    shaded = sum(np.ptp(shape[:, 0]) for shape in shapes(svg, "speech"))
    assert shaded == pytest.approx(WIDTH * np.mean(decisions), abs=0.11 * (1 + len(decisions)))


def test_the_waveform_reaches_from_the_smallest_to_the_largest_sample():
    samples = np.zeros(RATE, np.float32)
    samples[4000], samples[12000] = 0.5, -0.25
    svg = speech_picture(samples, RATE, np.zeros(100, bool), "x")
    [wave] = shapes(svg, "wave")
    top, bottom, zero = wave[:, 1].min(), wave[:, 1].max(), np.median(wave[:, 1])
    assert bottom - zero == pytest.approx((zero - top) / 2, abs=0.11)
    assert wave[wave[:, 1].argmin(), 0] == pytest.approx(LEFT + 0.25 * WIDTH, abs=1)
    assert wave[wave[:, 1].argmax(), 0] == pytest.approx(LEFT + 0.75 * WIDTH, abs=1)


def test_the_envelope_of_ten_samples_in_five_columns():
    assert envelope(np.array([0, 1, 3, 2, -1, 4, 0, 0, -5, -6]), 5) == (
        [0, 2, -1, 0, -6],
        [1, 3, 4, 0, -5],
    )
    assert envelope(np.array([2, 1]), 5) == ([2, 1], [2, 1])


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_a_tone_of_full_scale_is_0_db_in_its_band_and_nothing_elsewhere(rate):
    levels_db = spectrogram(tone(rate / 8, 1, rate), rate)
    bands = levels_db.shape[1]
    assert bands <= 256
    middle = levels_db[10:-10]
    assert set(middle.argmax(axis=1)) == {
        bands // 4
    }  # an eighth of the rate, of bands up to a half of it
    assert middle.max() == pytest.approx(0, abs=0.1)
    assert middle[:, : bands // 8].max() < -70


def test_a_click_is_in_the_frame_of_its_time():
    samples = np.zeros(RATE, np.float32)
    samples[round(0.305 * RATE)] = 1
    levels_db = spectrogram(samples, RATE)
    assert len(levels_db) == 100
    assert levels_db.mean(axis=1).argmax() == 30


@pytest.mark.parametrize("seconds", [0.0005, 0.02, 1, 30])
def test_short_and_long_and_silent_sound_has_a_spectrogram(seconds):
    levels_db = spectrogram(np.zeros(round(seconds * RATE), np.float32), RATE)
    assert 1 <= len(levels_db) <= 400
    assert levels_db.max() == levels_db.min() == pytest.approx(-140)


def test_another_reader_reads_the_colours_of_a_png():
    shades = np.arange(SHADES, dtype=np.uint8).reshape(4, 16)
    assert np.array_equal(read_png(png(shades, PALETTE)), PALETTE[shades])


def test_a_png_has_no_other_chunks_than_the_picture():
    data = png(np.zeros((2, 3), np.uint8), PALETTE)
    assert re.findall(rb"IHDR|PLTE|IDAT|IEND|tEXt|iTXt|zTXt|tIME|eXIf", data) == [
        b"IHDR",
        b"PLTE",
        b"IDAT",
        b"IEND",
    ]
    assert data == png(np.zeros((2, 3), np.uint8), PALETTE)


def test_colours_get_brighter_in_even_steps():
    share = PALETTE / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    lightness = (linear @ [0.2126, 0.7152, 0.0722]) ** (1 / 3)  # CIE lightness without its scale
    steps = np.diff(lightness)[4:]  # nobody can distinguish the darkest ones
    print(f"steps of lightness from {steps.min():.4f} to {steps.max():.4f}")
    assert steps.min() > 0.5 * steps.max()


def test_the_loudest_point_is_the_brightest_at_its_time_and_frequency():
    samples = np.concatenate([np.zeros(RATE // 2, np.float32), tone(6000, 0.5)])
    svg = spectrogram_picture(spectrogram(samples, RATE), RATE, 1.0, 0.0, "a tone")
    pixels = read_image(svg)
    assert pixels.shape == (256, 100, 3)
    # band 192 of 256, counted from below; three quarters to the right
    assert np.array_equal(pixels[255 - 192, 75], PALETTE[-1])
    assert np.array_equal(pixels[255 - 192, 25], PALETTE[0])
    assert np.array_equal(pixels[255 - 64, 75], PALETTE[0])


def read_png(data):
    """The pixels of a PNG file by another reader, (height, width, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def read_image(svg):
    """The pixels of the image in a drawing."""
    [image] = ElementTree.fromstring(svg).iter(f"{SVG}image")
    kind, _, data = image.get("href").partition(",")
    assert kind == "data:image/png;base64"
    return read_png(b64decode(data))


def test_drawings_have_labels_and_axes_with_units():
    for svg, axes in (
        (
            speech_picture(tone(100, 1), RATE, np.zeros(100, bool), "a & b"),
            {"seconds", "amplitude (1: full scale)"},
        ),
        (spectrogram_picture(np.zeros((5, 8)), RATE, 1.0, 0.0, "a & b"), {"seconds", "kHz"}),
    ):
        root = ElementTree.fromstring(svg)
        assert (root.get("role"), root.get("aria-label")) == ("img", "a & b")
        assert axes <= {text.text for text in root.iter(f"{SVG}text")}
    assert "-70" in colour_scale()


def test_a_standalone_drawing_has_its_style_and_its_name_space():
    root = ElementTree.fromstring(standalone('<svg viewBox="0 0 1 1"></svg>'))
    assert root.tag == f"{SVG}svg"
    assert "svg:root" in root.find(f"{SVG}style").text
