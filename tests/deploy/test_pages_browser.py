"""The two pages in a real browser: run with `pytest -m browser`."""

import time

import numpy as np
import pytest
from chromium import Browser, find
from export_helpers import network_logits
from page_helpers import as_file, drop, offline, picture, png, wait
from PIL import Image
from service_process import Service

from paddle_resnet import Predictor, export, load_trained

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find() is None, reason="needs Chromium"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory, onnx_extra):
    folder = tmp_path_factory.mktemp("web") / "resnet20"
    result = export("resnet20", folder, format="web", data="sample", log=lambda line: None)
    return result.path


@pytest.fixture
def offline_page(page):
    with offline(page) as browser:
        yield browser


def test_the_web_page_is_the_network_on_200_images_without_a_network(offline_page, cifar):
    trained = load_trained("resnet20")
    images = cifar.test_images[:200]
    expected = network_logits(trained.network, images, trained.mean, trained.std)
    worst, agree = 0.0, 0
    for image, row in zip(images, expected):
        script = (
            f"paddleResnet.pixels({as_file(png(image.transpose(1, 2, 0)))})"
            ".then(async (data) => [[...data], [...(await paddleResnet.run(data)).logits]])"
        )
        pixels, logits = offline_page.run(script)
        assert pixels == image.ravel().tolist()
        worst = max(worst, float(np.abs(np.array(logits) - row).max()))
        agree += int(np.argmax(logits) == row.argmax())
    assert agree == 200
    assert worst < 1e-3
    assert [
        u for u in offline_page.requests() if not u.startswith(("file:", "data:", "blob:"))
    ] == []
    assert offline_page.complaints() == []


def test_larger_pictures_are_scaled_as_pillow_does(offline_page, page, cifar, tmp_path):
    predictor = Predictor(export_beside(page, tmp_path))
    rng = np.random.RandomState(0)
    for size in ((200, 150), (97, 321), (33, 31), (20, 30)):
        noise = rng.randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
        photo = np.asarray(Image.fromarray(cifar.test_images[3].transpose(1, 2, 0)).resize(size))
        for pixels in (noise, photo):
            script = f"paddleResnet.pixels({as_file(png(pixels))}).then((d) => [...d])"
            mine = np.array(offline_page.run(script))
            pillow = predictor.pixels(pixels).ravel().astype(int)
            assert np.abs(mine - pillow).max() <= 1
    clear = np.zeros((40, 40, 4), np.uint8)
    script = f"paddleResnet.pixels({as_file(png(clear))}).then((d) => [...new Set(d)])"
    assert offline_page.run(script) == [255]


def export_beside(page, folder):
    export("resnet20", folder / "onnx", data="sample", log=lambda line: None)
    return folder / "onnx" / "resnet20.onnx"


def test_dropped_pictures_are_answered_and_kept_in_the_strip(offline_page, cifar):
    for index in range(3):
        drop(offline_page, png(cifar.test_images[index].transpose(1, 2, 0)), name=f"{index}.png")
        wait(offline_page, f"document.querySelectorAll('#strip button').length === {index + 1}")
        wait(offline_page, "!document.querySelector('#answers').classList.contains('busy')")
        wait(offline_page, "document.querySelector('.row .name') !== null")
    names = [cifar.classes[label] for label in cifar.test_labels[:3]]
    wait(offline_page, f"document.querySelector('.row .name').textContent === '{names[2]}'")
    strip = "[...document.querySelectorAll('#strip span')].map((e) => e.textContent)"
    wait(offline_page, f"{strip}.every((t) => t !== '…')")
    assert offline_page.run(strip) == names[::-1]
    assert offline_page.run("document.querySelectorAll('#answers .row').length") == 5
    time.sleep(0.6)
    picture(offline_page, "web.png")
    offline_page.look(390, 844)
    picture(offline_page, "web-phone.png")


def test_what_is_no_picture_is_named(offline_page):
    drop(offline_page, b"hello", name="a.png")
    wait(offline_page, "!document.querySelector('#message').hidden")
    assert "no image" in offline_page.run("document.querySelector('#message').textContent")
    drop(offline_page, b"hello", name="a.txt", kind="text/plain")
    wait(offline_page, "document.querySelector('#message').textContent === 'That is no image.'")


@pytest.fixture(scope="module")
def service():
    with Service("resnet20") as running:
        yield running


@pytest.fixture
def demo(service):
    with Browser() as browser:
        browser.send("Page.navigate", url=f"http://127.0.0.1:{service.port}/")
        wait(browser, "document.body && document.body.dataset.ready === 'true'")
        yield browser


def test_the_demo_page_answers_drop_paste_and_choice(demo, cifar):
    content = png(cifar.test_images[0].transpose(1, 2, 0), (200, 200))
    drop(demo, content)
    wait(demo, "document.querySelector('.row .name')?.textContent === 'cat'")
    demo.run(
        "(() => { const data = new DataTransfer();"
        f"data.items.add({as_file(png(cifar.test_images[1].transpose(1, 2, 0)))});"
        "dispatchEvent(new ClipboardEvent('paste', {clipboardData: data})); })()"
    )
    wait(demo, "document.querySelector('.row .name')?.textContent === 'ship'")
    demo.run(
        "(() => { const data = new DataTransfer();"
        f"data.items.add({as_file(content)});"
        "const input = document.querySelector('#file'); input.files = data.files;"
        "input.dispatchEvent(new Event('change')); })()"
    )
    wait(demo, "document.querySelector('.row .name')?.textContent === 'cat'")
    assert demo.complaints() == []
    time.sleep(0.6)
    picture(demo, "demo.png")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (320, 568)])
@pytest.mark.parametrize("dark", [False, True])
def test_the_demo_page_fits_phones_and_dark_mode(demo, cifar, width, height, dark):
    demo.look(width, height, dark)
    drop(demo, png(cifar.test_images[0].transpose(1, 2, 0), (300, 200)))
    wait(demo, "document.querySelectorAll('.row').length === 5")
    assert demo.run("document.documentElement.scrollWidth") <= width
    colours = "['color', 'backgroundColor'].map((n) => getComputedStyle(document.body)[n])"
    ink, page = (sum(map(int, text.strip("rgb()").split(","))) for text in demo.run(colours))
    assert (ink > page) is dark
    assert abs(ink - page) > 400
    time.sleep(0.6)
    picture(demo, f"demo-{width}{'-dark' if dark else ''}.png")


def test_refusals_of_the_service_reach_the_page(demo):
    drop(demo, b"hello", name="a.png")
    wait(demo, "!document.querySelector('#message').hidden")
    assert "no image" in demo.run("document.querySelector('#message').textContent")


def test_the_camera_takes_a_picture(service, monkeypatch):
    import chromium

    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    monkeypatch.setattr(chromium, "OPTIONS", [*chromium.OPTIONS, *fake])
    with Browser() as browser:
        browser.send("Page.navigate", url=f"http://127.0.0.1:{service.port}/")
        wait(browser, "document.body && document.body.dataset.ready === 'true'")
        browser.run("document.querySelector('#camera').click()")
        wait(browser, "document.querySelector('#camera').textContent === 'Take photo'")
        wait(browser, "document.querySelector('#video').videoWidth > 0")
        browser.run("document.querySelector('#camera').click()")
        wait(browser, "document.querySelectorAll('.row').length === 5")
        assert browser.run("document.querySelector('#video').hidden")


def test_names_of_classes_cannot_run_anything(tmp_path):
    """They come from folders and files of anyone."""
    from paddle_resnet.deploy.demo.demo_page import server_page
    from paddle_resnet.deploy.manifest import Manifest

    evil = "</script><img src=x onerror=document.title='hacked'>"
    facts = {"model": evil, "options": {}, "classes": [evil, "b"], "mean": None, "std": None}
    html = server_page(Manifest(**facts, input_shape=[3, 8, 8]), evil, 10**6, False)
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    with Browser() as browser:
        browser.open(path)
        wait(browser, "document.body.dataset.ready === 'true'")
        assert browser.run("document.title") == f"{evil} · paddle_resnet"
        assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
        assert evil in browser.run("document.querySelector('#answers').textContent")
