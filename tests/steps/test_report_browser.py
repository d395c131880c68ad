"""The page in a browser: no console messages, light and dark, on paper, on a telephone.

Skipped if Chromium is not installed.
"""

import json
import re
import shutil
import subprocess
from html import escape, unescape

import numpy as np
import pytest
from PIL import Image

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
    """Open the page; the output of the browser."""
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, profile, *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout if "--dump-dom" in options else done.stderr


def ask(text, work, script, widths=(1280,)):
    """The result of a script in a page, once for each width of the window.

    In the script ``page`` and ``view`` are the page's document and window.
    """
    frames = "".join(
        f'<iframe style="width:{width}px;height:900px" srcdoc="{escape(text)}"></iframe>'
        for width in widths
    )
    asking = (
        "onload = () => { document.title = JSON.stringify("
        "[...document.querySelectorAll('iframe')].map(frame => {"
        f"const page = frame.contentDocument, view = frame.contentWindow; {script} }})) }}"
    )
    path = work / "asked.html"
    path.write_text(f"<!doctype html><script>{asking}</script>{frames}")
    return json.loads(unescape(re.search("<title>(.*?)</title>", browse(path, "--dump-dom"))[1]))


def read_pixels(path):
    """The pixels of a picture file, (height, width, 3), in [0, 1]."""
    return np.asarray(Image.open(path).convert("RGB")) / 255


def close_to(pixels, colour):
    """Share of the pixels that have nearly a colour, ``#rrggbb``."""
    wanted = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return (np.abs(pixels - wanted).max(axis=-1) < 0.04).mean()


@pytest.mark.parametrize(
    ("mode", "back", "first", "second"),
    [("1", "#ffffff", "#0072b2", "#d55e00"), ("0", "#11161d", "#56b4e9", "#ff8c42")],
    ids=["light", "dark"],
)
def test_figures_are_drawn_and_the_console_stays_silent(page, tmp_path, mode, back, first, second):
    messages = browse(
        page,
        f"--blink-settings=preferredColorScheme={mode}",
        f"--screenshot={tmp_path / 'page.png'}",
    )
    assert "CONSOLE" not in messages
    pixels = read_pixels(tmp_path / "page.png")
    shares = [close_to(pixels, colour) for colour in (back, first, second)]
    print("share of the background and of the two series' colours:", shares)
    assert shares[0] > 0.5
    assert min(shares[1:]) > 0.0004
    inside = pixels[:, pixels.shape[1] // 10 : -pixels.shape[1] // 10]
    assert (inside.std(axis=(1, 2)) > 0.01).mean() > 0.3  # text and figures down the whole page


def test_a_curve_is_switched_off_without_a_script(page, tmp_path):
    """A click on its name hides it, by CSS only."""
    text, shares, box = page.read_text(), [], '<label class="series-0"><input type="checkbox"'
    assert "<script" not in text
    assert text.count(f"{box} checked>") == 1
    for number, content in enumerate((text, text.replace(f"{box} checked>", f"{box}>"))):
        (tmp_path / "page.html").write_text(content)
        browse(
            tmp_path / "page.html",
            "--blink-settings=preferredColorScheme=1",
            f"--screenshot={tmp_path / f'{number}.png'}",
        )
        shares.append(close_to(read_pixels(tmp_path / f"{number}.png"), "#0072b2"))
    print("share of the first series' colour, shown and switched off:", shares)
    assert shares[1] < 0.9 * shares[0]


WIDTHS = (1280, 390)
# elements that are wider than the window, outside elements that scroll
TOO_WIDE = """
  const wide = [...page.querySelectorAll("body *")]
    .filter(one => !one.closest(".scroll, pre, svg"))
    .filter(one => one.getBoundingClientRect().right > view.innerWidth)
    .map(one => one.outerHTML.slice(0, 80));
  const tables = [...page.querySelectorAll(".scroll")]
    .filter(one => one.scrollWidth > one.clientWidth);
  const bars = tables
    .map(one => [view.getComputedStyle(one).overflowX, one.offsetHeight - one.clientHeight]);
  const root = page.documentElement;
  return [root.scrollWidth, root.clientWidth, wide, bars, tables.length];"""


@pytest.mark.parametrize("name", ["good", "a_network_" * 8 + "0"], ids=["short", "long"])
def test_it_fits_a_screen_and_a_telephone(page, tmp_path, name):
    """Wider tables scroll, and have scroll bars."""
    text = page.read_text().replace("<details", "<details open").replace("good", name)
    text = text.replace("near", "in_a_room_with_an_unusually_long_name_____" * 3)
    wider = []
    for wanted, result in zip(WIDTHS, ask(text, tmp_path, TOO_WIDE, WIDTHS), strict=True):
        scrolled, width, wide, bars, number = result
        print(f"{wanted} px: the page has {scrolled} of {width}, {number} tables scroll")
        assert wide == []
        assert scrolled <= width <= wanted
        assert all(how == "auto" and height >= 5 for how, height in bars)
        wider.append(number)
    assert wider[1] > wider[0], "on a telephone there are tables that scroll"


BANDS = """
  const bands = () => [...page.querySelectorAll(".band")]
    .map(one => view.getComputedStyle(one).display != "none");
  const radios = [...page.querySelectorAll("input[type=radio]")];
  const box = page.querySelector("input[type=checkbox]");
  const first = bands();
  radios[1].click();
  const second = bands();
  radios[0].click();
  box.click();
  const without = bands();
  radios[2].click();
  return [first, second, without, bands()];"""


def test_one_band_is_shown_at_a_time(page, tmp_path):
    """The first, then the chosen one; none of a hidden curve, none if none is chosen."""
    ((first, second, without, none),) = ask(page.read_text(), tmp_path, BANDS)
    assert first == [True, False]
    assert second == [False, True]
    assert without == none == [False, False]


def test_it_prints_on_a_few_sheets(page, tmp_path):
    browse(page, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    sheets = (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n")
    print(f"{sheets} sheets")
    assert 1 <= sheets <= 8
