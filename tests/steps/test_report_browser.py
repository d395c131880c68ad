"""The page in a real browser: nothing on the console, figures drawn, light and dark, on paper.  Skipped where no Chromium is installed."""

import shutil
import subprocess

import matplotlib.image
import numpy as np
import pytest

from steps.compare import compare
from tests.steps.test_report import make_system, write_data

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--window-size=1280,2600",
]
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of two systems."""
    work = tmp_path_factory.mktemp("work")
    write_data(work / "data" / "test")
    for name, noise, seed in (("good", 0.7, 0), ("bad", 5.0, 1)):
        make_system(work / "exp" / name, noise, seed)
    compare(
        [work / "data"],
        work / "compared",
        experiments=[work / "exp" / "good", work / "exp" / "bad"],
        replicates=50,
    )
    return work / "compared" / "report.html"


def browse(page, *options):
    """Open the page; what the browser says of it."""
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, profile, *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def close_to(pixels, colour):
    """Share of the pixels that have nearly a colour, ``#rrggbb``."""
    wanted = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return (np.abs(pixels[..., :3] - wanted).max(axis=-1) < 0.04).mean()


@pytest.mark.parametrize(
    ("mode", "back", "first", "second"),
    [("1", "#ffffff", "#0072b2", "#d55e00"), ("0", "#11161d", "#56b4e9", "#ff8c42")],
    ids=["light", "dark"],
)
def test_figures_are_drawn_and_the_console_stays_silent(page, tmp_path, mode, back, first, second):
    said = browse(
        page,
        f"--blink-settings=preferredColorScheme={mode}",
        f"--screenshot={tmp_path / 'page.png'}",
    )
    assert "CONSOLE" not in said
    pixels = matplotlib.image.imread(tmp_path / "page.png")
    shares = [close_to(pixels, colour) for colour in (back, first, second)]
    print("share of the page's ground and of the two series' colours:", shares)
    assert shares[0] > 0.5
    assert min(shares[1:]) > 0.0005
    inside = pixels[:, pixels.shape[1] // 10 : -pixels.shape[1] // 10]
    assert (inside.std(axis=(1, 2)) > 0.01).mean() > 0.3  # text and figures down the whole page


def test_a_curve_is_switched_off_without_a_script(page, tmp_path):
    """What a click on its name does: the page says so by CSS alone."""
    text, shares, box = page.read_text(), [], 'class="series-0"><input type="checkbox"'
    assert "<script" not in text
    assert text.count(f"{box} checked>") == 1
    for number, content in enumerate((text, text.replace(f"{box} checked>", f"{box}>"))):
        (tmp_path / "page.html").write_text(content)
        browse(
            tmp_path / "page.html",
            "--blink-settings=preferredColorScheme=1",
            f"--screenshot={tmp_path / f'{number}.png'}",
        )
        shares.append(close_to(matplotlib.image.imread(tmp_path / f"{number}.png"), "#0072b2"))
    print("share of the first series' colour, shown and switched off:", shares)
    assert shares[1] < 0.9 * shares[0]


def test_it_prints_on_a_few_sheets(page, tmp_path):
    browse(page, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    sheets = (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n")
    print(f"{sheets} sheets")
    assert 1 <= sheets <= 8
