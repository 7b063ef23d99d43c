"""The page in a browser: nothing goes wrong, and pointing at it tells the values."""

import shutil

import chromium
import pytest
from run_fixture import make_run

from paddle_resnet.report.run_report import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.find() is None, reason="no Chromium on the PATH"),
]


@pytest.fixture(scope="module")
def report(trained, tmp_path_factory):
    return write_report(shutil.copytree(trained, tmp_path_factory.mktemp("browser") / "run"))


@pytest.fixture(scope="module")
def browser():
    with chromium.Browser() as opened:
        yield opened


def box(browser, selector):
    browser.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
    # Scrolling tells the page a frame later, and puts tips away.
    browser.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    return browser.run(
        f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect();"
        "return [b.x, b.y, b.width, b.height]; })()"
    )


def point_at(browser, selector, across=0.5, down=0.5):
    x, y, width, height = box(browser, selector)
    place = (x + width * across, y + height * down)
    browser.point(*place)
    return place


def text(browser, selector):
    shown = f"document.querySelector({selector!r})"
    said = browser.run(f"{shown} && !{shown}.hidden ? {shown}.innerText : null")
    return said and said.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (1280, True), (768, False), (390, True), (320, False)]
)
def test_opens_clean_at_every_width(browser, report, width, dark):
    browser.look(width, 900, dark)
    browser.open(report)
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []
    # Nothing sticks out: the page itself never scrolls sideways.
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_pointing_at_a_chart_reads_its_values(browser, report):
    browser.look(1280, 900)
    browser.open(report)
    assert text(browser, "[data-chart=loss] .readout") is None
    point_at(browser, "[data-chart=loss]", across=0.5)
    said = text(browser, "[data-chart=loss] .readout")
    assert said.startswith("epoch 4 · step 80 · 4.0 s")
    history = browser.run(
        "Array.from(document.querySelector('tbody').rows[3].cells).map(c => c.textContent)"
    )
    assert f"training\n{history[4]}" in said
    assert f"validation\n{history[6]}" in said
    # The other charts show the same moment, without words.
    for other in ("accuracy", "lr", "speed"):
        assert text(browser, f"[data-chart={other}] .cross") is not None
        assert text(browser, f"[data-chart={other}] .readout") is None
    point_at(browser, "h1")
    assert text(browser, "[data-chart=loss] .readout") is None
    assert browser.complaints() == []


def test_the_read_out_stays_inside_the_page(browser, report):
    browser.look(320, 700)
    browser.open(report)
    for across in (0.01, 0.3, 0.5, 0.7, 0.99):
        point_at(browser, "[data-chart=accuracy]", across)
        x, _, width, _ = box(browser, "[data-chart=accuracy] .readout")
        assert x >= 0
        assert x + width <= 320


def test_arrow_keys_walk_along_a_chart(browser, report):
    browser.look(1280, 900)
    browser.open(report)
    browser.run("document.querySelector('[data-chart=lr]').focus()")
    browser.key("Home", 36)
    first = text(browser, "[data-chart=lr] .readout")
    browser.key("ArrowRight", 39)
    second = text(browser, "[data-chart=lr] .readout")
    assert first.startswith("epoch 0.25 ")
    assert second.startswith("epoch 0.5 ")
    spoken = browser.run("document.querySelector('[data-chart=lr]').ariaValueText")
    assert spoken.startswith("epoch 0.5 · step 10")


def test_pointing_at_the_matrix_says_the_field(browser, report):
    browser.look(1280, 900)
    browser.open(report)
    cell = ".matrix tbody tr:nth-child(4) td:nth-child(7)"
    count = browser.run(f"document.querySelector({cell!r}).innerText")
    point_at(browser, cell)
    assert text(browser, ".tip").startswith(f"cat taken for dog: {count} of 40 (")
    lit = browser.run("Array.from(document.querySelectorAll('.matrix .lit')).map(e => e.innerText)")
    assert lit == ["dog", "cat"]


def test_clicking_a_heading_sorts_the_classes(browser, report):
    browser.look(1280, 900)
    browser.open(report)
    column = (
        "Array.from(document.querySelectorAll('[data-sort] tbody tr')).map(r => r.cells[{}].{})"
    )
    heading = "[data-sort] thead th:nth-child(4) button"
    for last in (True, False):
        browser.click(*point_at(browser, heading))
        shares = [float(v) for v in browser.run(column.format(3, "dataset.value"))]
        assert shares == sorted(shares, reverse=last)
    browser.click(*point_at(browser, "[data-sort] thead th:first-child button", across=0.2))
    names = browser.run(column.format(0, "innerText"))
    assert names == sorted(names)


def test_a_hundred_classes_read_out_the_same_way(browser, tmp_path):
    browser.look(1280, 900)
    browser.open(write_report(make_run(tmp_path / "run", classes=100, epochs=1)))
    point_at(browser, "[data-heat]", across=0.035, down=0.035)  # the fourth class's own field
    assert text(browser, ".tip").startswith("cat recognised: ")
    assert " of 40 (" in text(browser, ".tip")
    assert browser.complaints() == []


def test_reads_without_scripts(browser, report):
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report)
        seen = browser.send(
            "DOM.getOuterHTML", nodeId=browser.send("DOM.getDocument")["root"]["nodeId"]
        )
        assert "Copy" in seen["outerHTML"]
        assert 'class="readout"' not in seen["outerHTML"]
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
