"""The page of a comparison in a browser."""

import chromium
import pytest
from comparison import make_comparison

from paddle_resnet.compare.comparison_page import write_comparison

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.find() is None, reason="no Chromium on the PATH"),
]


@pytest.fixture(scope="module")
def browser():
    with chromium.Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_comparison(make_comparison(), tmp_path_factory.mktemp("page") / "page.html")


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (1280, True), (390, False), (320, True)]
)
def test_opens_clean_at_every_width(browser, page, width, dark):
    browser.look(width, 900, dark)
    browser.open(page)
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_charts_over_steps_and_over_seconds_do_not_share_a_crosshair(browser, page):
    browser.look(1280, 900)
    browser.open(page)
    browser.run("document.querySelector('[data-chart=train-loss]').focus()")
    browser.key("Home", 36)
    shown = "!document.querySelector('[data-chart={}] .cross').hidden"
    assert browser.run(shown.format("train-loss"))
    assert browser.run(shown.format("train-acc_top1"))
    assert not browser.run(shown.format("loss"))
    read = browser.run("document.querySelector('[data-chart=train-loss] .readout').innerText")
    assert read.replace("\u00a0", " ").startswith("15 s · epoch 0.4\nresnet18\n2.139")
