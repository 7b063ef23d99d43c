"""Names and pictures that are meant to harm the two pages: run with `pytest -m browser`."""

import dataclasses
import json

import numpy as np
import pytest
from chromium import Browser, find
from hostile_pictures import REFUSED, TRUNCATED, animation, black_png, noise, saved
from page_helpers import as_file, drop, offline, picture, png, wait
from service_process import Service

from paddle_resnet import Predictor
from paddle_resnet.deploy.exporting.onnxruntime_web import web_runtime
from paddle_resnet.deploy.exporting.web_page import write_web_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find() is None, reason="needs Chromium"),
]
#: Of resnet20, in its order; any image gives half of them.
NAMES = [
    "<script>document.title='hacked'</script>",
    "</script><img src=x onerror=document.title='hacked'>",
    "\"'`${document.title='hacked'}\\",
    "W" * 1000,
    "חתול קטן על הגג של הבית הגבוה ביותר ברחוב הראשי של העיר",
    "{{TITLE}}<!--",
    "--></style><style>body{display:none}",
    "&lt;b&gt;",
    "日本語の犬",
    "a b",
]
#: What a manifest refuses: line separators, and marks that turn the direction of writing round.
UNPRINTABLE = ["\u2028</script>\u2029", "\u202edog", *NAMES[2:]]
LAST = "document.querySelector('#strip span')"


@pytest.fixture(scope="module")
def page(tmp_path_factory, float32_file):
    manifest = dataclasses.replace(
        Predictor(float32_file).manifest, classes=UNPRINTABLE, model=NAMES[1]
    )
    path = tmp_path_factory.mktemp("hostile") / "page.html"
    write_web_page(float32_file, manifest, web_runtime(print), path)
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory, float32_file):
    import onnx

    model = onnx.load(str(float32_file))
    facts = {entry.key: entry for entry in model.metadata_props}
    facts["classes"].value = json.dumps(NAMES)
    facts["model"].value = json.dumps(NAMES[1])
    path = tmp_path_factory.mktemp("hostile") / "network.onnx"
    onnx.save(model, str(path))
    with Service(path) as running:
        yield running


@pytest.fixture(params=["page", "service"])
def browser(request):
    if request.param == "page":
        with offline(request.getfixturevalue("page")) as it:
            it.names = UNPRINTABLE
            yield it
    else:
        with Browser() as it:
            it.send(
                "Page.navigate", url=f"http://127.0.0.1:{request.getfixturevalue('service').port}/"
            )
            wait(it, "document.body && document.body.dataset.ready === 'true'")
            it.names = NAMES
            yield it


def answer(browser, content, name, kind="image/png"):
    """Drop a picture; return the label that it gets in the strip and the message."""
    count = browser.run("document.querySelectorAll('#strip button').length")
    drop(browser, content, name=name, kind=kind)
    wait(browser, f"document.querySelectorAll('#strip button').length === {count + 1}")
    wait(browser, f"{LAST}.textContent !== '…'")
    message = "document.querySelector('#message')"
    return browser.run(f"[{LAST}.textContent, {message}.hidden ? '' : {message}.textContent]")


def unharmed(browser):
    assert browser.run("document.title") == f"{NAMES[1]} · paddle_resnet"
    assert browser.run("getComputedStyle(document.body).display") == "block"
    assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
    assert browser.run("document.querySelectorAll('script:not([id])').length") == 1
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_names_are_shown_as_they_are(browser, cifar):
    hint = browser.run("document.querySelector('#answers').textContent")
    assert hint == f"Knows: {', '.join(browser.names)}."
    assert browser.run("document.querySelector('h1').textContent") == NAMES[1]
    unharmed(browser)
    picture(browser, f"hostile-names-{len(browser.names[0])}.png")
    seen = set()
    for image in cifar.test_images[:12]:
        label, message = answer(browser, png(image.transpose(1, 2, 0)), f"{NAMES[0]}.png")
        assert message == ""
        rows = browser.run("[...document.querySelectorAll('.row .name')].map((e) => e.textContent)")
        assert len(rows) == 5
        assert rows[0] == label
        seen.update(rows)
        assert "hacked" not in browser.run("document.title").replace(NAMES[1], "")
    assert seen == set(browser.names)
    for width in (1280, 390):
        browser.look(width, 844)
        unharmed(browser)
        picture(browser, f"hostile-rows-{len(browser.names[0])}-{width}.png")
    assert browser.complaints() == []


def test_hostile_pictures_are_refused_and_the_page_goes_on(browser):
    ok = saved(noise(50, 40), "PNG")
    expected, _ = answer(browser, ok, "ok.png")
    assert expected in browser.names
    for name, (kind, content) in {**REFUSED, **TRUNCATED}.items():
        label, message = answer(browser, content, name, kind)
        assert (name, label) == (name, "–")
        assert message.endswith(".")
        unharmed(browser)
    bomb = black_png(20_000, 20_000)
    assert len(bomb) < 60_000
    assert answer(browser, bomb, "bomb.png") == [
        "–",
        "The image has 400 megapixels, at most 40 are taken.",
    ]
    # Nothing decodes it, not even to show it.
    assert browser.run("document.querySelector('#image').hidden")
    assert browser.run("document.querySelector('#strip button').querySelector('img') === null")
    assert browser.run("document.querySelector('#strip .blank').textContent") == "bomb.png"
    assert answer(browser, ok, "ok.png") == [expected, ""]


def test_odd_pictures_are_answered_as_pillow_reads_them(page, float32_file):
    """One frame of an animation, and more pixels in a row than a canvas can have."""
    predictor = Predictor(float32_file)
    line = saved(noise(70_000, 1), "PNG")
    with offline(page) as browser:
        for content, kind in ((animation(), "image/gif"), (line, "image/png")):
            script = f"paddleResnet.pixels({as_file(content, kind=kind)}).then((d) => [...d])"
            mine, pillow = np.array(browser.run(script)), predictor.pixels(content).ravel()
            assert np.abs(mine - pillow.astype(int)).max() <= 1
