"""Drawings as SVG text."""

from xml.etree import ElementTree

import pytest

from utils.report.plots import det_plot, histogram_plot, learning_plot
from utils.report.svg import Axis, Plot, round_ticks


def plot():
    """Axes from 0 to 10 on 100 by 100 pixels inside the margins."""
    x, y = (
        Axis(low=0, high=10, ticks=[(0, "0"), (10, "10")], title=title) for title in ("x & y", "y")
    )
    return Plot(x=x, y=y, width=178, height=156)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (-1, 1, ["-1", "-0.5", "0", "0.5", "1"]),
        (0, 0.001, ["0", "0.0002", "0.0004", "0.0006", "0.0008", "0.001"]),
        (0, 1234, ["0", "500", "1000"]),
        (0, 0.00022, ["0", "5e-5", "1e-4", "1.5e-4", "2e-4"]),
        (0, 3e6, ["0", "1000000", "2000000", "3000000"]),
    ],
)
def test_ticks_are_round(low, high, labels):
    assert [label for _, label in round_ticks(low, high)] == labels


def test_points_have_pixel_positions_and_outside_ones_are_clipped():
    assert [plot().at(*point) for point in ((0, 0), (10, 10), (5, 5), (-3, 99))] == [
        "58.0,112.0",
        "158.0,12.0",
        "108.0,62.0",
        "58.0,12.0",
    ]


def test_text_is_escaped_and_the_drawing_well_formed():
    drawn = plot()
    drawn.line([0, 10], [0, 10], "line", "a < b")
    root = ElementTree.fromstring(drawn.svg())
    assert root.find(".//title").text == "a < b"
    assert "x & y" in [text.text for text in root.iter("text")]


def test_det_plot_shows_each_system_even_a_perfect_one():
    curves = [
        {
            "name": "perfect",
            "style": "series-0",
            "miss": [0.0],
            "false_alarm": [0.0],
            "eer_percent": 0.0,
        },
        {
            "name": "a <b>",
            "style": "series-9 again",
            "miss": [0.01, 0.5],
            "false_alarm": [0.5, 0.01],
            "eer_percent": 12.0,
        },
    ]
    root = ElementTree.fromstring(det_plot(curves))
    assert len(root.findall(".//circle")) == 2
    assert {title.text for title in root.iter("title")} == {
        "equal error rates",
        "perfect: EER 0.00 %",
        "a <b>: EER 12.00 %",
    }


def test_histogram_of_one_value_is_drawn():
    curve = {"name": "flat", "edges": [-0.5, 0.5], "target_share": [1.0], "nontarget_share": [1.0]}
    assert len(ElementTree.fromstring(histogram_plot(curve)).findall(".//polygon")) == 2


def test_learning_plot_needs_entries_of_its_figure():
    history = [{"step": 10, "loss": 2.0}, {"step": 20, "loss": 2.0}]
    one = ("", "series-0", history)
    assert learning_plot([one], "dev_eer_percent", "EER") == ""
    drawn = ElementTree.fromstring(learning_plot([one], "loss", "loss"))
    assert len(drawn.findall(".//circle")) == 2


def test_learning_plot_has_a_line_of_each_training_on_the_same_axes():
    short = ("short", "series-0", [{"step": 5, "loss": 1.0}, {"step": 10, "loss": 2.0}])
    long = ("long", "series-1", [{"step": 10, "loss": 4.0}, {"step": 20, "loss": 2.0}])
    without = ("without", "series-2", [])
    drawn = ElementTree.fromstring(learning_plot([short, long, without], "loss", "loss"))
    lines = {line.find("title").text: line for line in drawn.findall(".//polyline")}
    assert lines.keys() == {"short", "long"}
    ends = {name: line.get("points").split()[-1].split(",") for name, line in lines.items()}
    assert ends["short"][1] == ends["long"][1]
    assert float(ends["short"][0]) < float(ends["long"][0])
