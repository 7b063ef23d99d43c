"""What tests of pages in a browser share."""

import base64
import io
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

from chromium import Browser
from PIL import Image

#: Where screenshots are left for people, if set.
PICTURES = os.environ.get("PADDLE_RESNET_SCREENSHOTS")


def png(pixels, size=None):
    with io.BytesIO() as file:
        image = Image.fromarray(pixels)
        (image.resize(size) if size else image).save(file, "PNG")
        return file.getvalue()


def wait(browser, script, seconds=60):
    """Wait until an expression is true; the page's policy forbids the browser's own waiting."""
    end = time.monotonic() + seconds
    while not browser.run(script):
        assert time.monotonic() < end, f"{script}; {browser.complaints()}"
        time.sleep(0.1)


def as_file(content, name="picture.png", kind="image/png"):
    """JavaScript that makes a File."""
    text = base64.b64encode(content).decode()
    return (
        f"new File([Uint8Array.from(atob('{text}'), (c) => c.charCodeAt(0))], "
        f"{json.dumps(name)}, {{type: '{kind}'}})"
    )


def drop(browser, content, **options):
    browser.run(
        "(() => { const data = new DataTransfer();"
        f"data.items.add({as_file(content, **options)});"
        "dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); })()"
    )


def picture(browser, name):
    if PICTURES:
        browser.picture(Path(PICTURES) / name)


@contextmanager
def offline(page):
    """A browser with a page from a file, without a network."""
    with Browser() as browser:
        browser.send(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=0,
            uploadThroughput=0,
        )
        browser.open(page)
        wait(browser, "document.body.dataset.ready === 'true'")
        yield browser
