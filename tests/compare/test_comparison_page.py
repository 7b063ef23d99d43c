"""A comparison in words, as a table and as a page."""

import re

import pytest
from comparison import A, B, apart, make_comparison
from page import read_page

from paddle_resnet.compare.comparison_page import render_comparison, write_comparison
from paddle_resnet.compare.rows import headline
from paddle_resnet.compare.table import as_text


def plain(text):
    return text.replace("\u00a0", " ")


@pytest.fixture
def found():
    return make_comparison()


def test_text_lines_up_and_holds_the_figures(found):
    text = plain(as_text(found))
    lines = text.splitlines()
    head = next(line for line in lines if A in line and B in line)
    row = next(line for line in lines if "trainable parameters" in line)
    assert row.split()[-3:] == ["11,181,642", "11,182,666", "−1,024"]
    assert row.index("11,182,666") + len("11,182,666") == head.index(B) + len(B)
    assert re.search(r"training, images/s +64\.0 \(53\.3–80\.0\) .* 1\.50 × \(1\.40–1\.60\)", text)
    assert re.search(r"peak memory in training +512 MB +640 MB +0\.80 ×", text)
    row = next(line for line in lines if "gradients, largest difference" in line)
    assert row.split("difference")[1].split("  ")[-1].strip().endswith(" of 11.0")
    assert re.search(r"largest difference +none +2\.5×10⁻⁵ of 11\.0 ", row)
    heads = next(line for line in lines if "plain Paddle" in line and "rounding alone" in line)
    assert heads.split("  ")[-1].strip() == "rounding alone"
    assert re.search(r"test accuracy +62\.00 % +58\.00 % +\+4\.00 points", text)


def test_headlines(found):
    assert "resnet18 trains 1.50 times as fast as paddle.vision:resnet18." in headline(found)
    told = found["speed"]["training"]["ratio"]
    told.update(median=0.5, min=0.4, max=0.6)
    assert "paddle.vision:resnet18 trains 2.00 times as fast as resnet18." in headline(found)
    told.update(median=1.02, min=0.9, max=1.1)
    assert "neither was faster in every round" in headline(found)
    words = plain(headline(found))
    assert words.startswith(
        "With equal weights and plain Paddle both compute the same, to the last bit; with the CPU "
        "operator the logits differ by up to 3.1×10⁻⁶ of 2.17 and the gradients by 1.3×10⁻⁶ of "
        "their length, where rounding alone moves those of paddle.vision:resnet18 by "
    )
    found["agreement"]["operator"] = None
    assert plain(headline(found)).startswith(
        "With equal weights and plain Paddle both compute the same, to the last bit. "
    )
    found["agreement"]["plain"] = apart(1.0)
    assert plain(headline(found)).startswith(
        "With equal weights, by plain Paddle the logits differ by up to 3.1×10⁻⁶ of 2.17"
    )
    found["setting"]["rounds"] = 2
    assert "Too few rounds were timed" in headline(found)
    assert "Two different networks" in headline(make_comparison(agree=False))


def test_page_tells_the_same(found, tmp_path):
    path = write_comparison(found, tmp_path / "page.html")
    page = read_page(path)
    text = plain(page.text)
    assert page.one("h1").text == f"{A} beside {B}"
    for figure in ("11,182,666", "−1,024", "1.50 ×", "62.00 %", "3.1×10⁻⁶ of 2.17", "512 MB"):
        assert figure in text
    assert "bundled sample" in text
    areas = [e.attributes["data-chart"] for e in page.all(cls="area")]
    assert areas == ["loss", "train-loss", "train-acc_top1"]
    # Ticks of steps are whole.
    axis = page.all(cls="x-axis")[0]
    assert [tick.text for tick in axis.all(cls="tick")] == ["0", "2", "4", "6", "8", "10"]
    # Bars end where the figures say: the fastest round is at 100 / 1.04 of the track.
    strip = page.all(cls="strip")[0]
    places = [float(re.findall(r"[\d.]+", e.attributes["style"])[0]) for e in strip.all("i")]
    assert places == pytest.approx([v / 80 * 100 / 1.04 for v in (64, 80, 160 / 3)], abs=0.01)
    fill = strip.one(cls="fill").attributes["style"]
    assert fill == f"width:{places[0]:.2f}%"


def test_page_of_networks_that_cannot_share_weights(tmp_path):
    found = make_comparison(agree=False, train=False, steps=1)
    page = read_page(write_comparison(found, tmp_path / "page.html"))
    text = plain(page.text)
    assert "weights cannot be copied" in text
    assert "2 only in the second (gate.weight, …)" in text
    assert "Accuracy after equal time" not in text


def test_figures_that_are_no_numbers(found, tmp_path):
    found["curve"].update(a=[None] * 10, max_abs=None)
    found["agreement"]["operator"]["logits_eval"] = {"max_abs": None, "largest": None}
    assert "not a number" in as_text(found)
    read_page(write_comparison(found, tmp_path / "page.html"))


def test_page_needs_nothing_and_trusts_no_name(found):
    name = "</script><script>alert(1)</script>"
    found["setting"]["names"]["b"] = name
    page = render_comparison(found)
    assert name not in page
    assert "default-src 'none'" in page
    assert not re.findall(r"@import|url\((?!data:)|https?://", page)
