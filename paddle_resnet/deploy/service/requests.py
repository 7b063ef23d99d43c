"""From the bytes of a request to images, within limits: each excess has its HTTP status."""

from __future__ import annotations

import asyncio
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fastapi import HTTPException, Request
from PIL import Image
from starlette.datastructures import UploadFile

from ...data.folder.image_io import fit_image, image_from_bytes
from ...errors import DataError, for_display
from ..manifest import Manifest
from .limits import Limits

#: Media types of a body that is one image. The last is what `curl --data-binary` says.
_RAW = ("image/", "application/octet-stream", "application/x-www-form-urlencoded")


@dataclass
class Upload:
    """An image of a request."""

    name: str
    content: bytes


def check_head(request: Request, limits: Limits) -> None:
    """Refuse a request by its headers, before its body is read.

    Raises:
        HTTPException: 411 without a length, 413 too large, 415 another media type.
    """
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not length.isascii() or not length.isdigit():
        raise HTTPException(411, "the request needs a Content-Length", {"Connection": "close"})
    if int(length[:20]) > limits.max_body:
        raise HTTPException(
            413,
            f"the body has {for_display(length, 20)} bytes, at most {limits.max_body} are taken",
            {"Connection": "close"},
        )
    kind = _media_type(request)
    if kind and kind != "multipart/form-data" and not kind.startswith(_RAW):
        raise HTTPException(
            415, f"expected an image or multipart/form-data, not {for_display(kind)}"
        )


async def read_uploads(request: Request, limits: Limits) -> list[Upload]:
    """Read the images of a request.

    Raises:
        HTTPException: 400 without an image or not in form, 408 too slow, 413 too many images.
    """
    try:
        if _media_type(request) == "multipart/form-data":
            return await asyncio.wait_for(_multipart(request, limits), limits.timeout)
        body = await asyncio.wait_for(request.body(), limits.timeout)
    except asyncio.TimeoutError:
        raise HTTPException(
            408, f"the body did not arrive within {limits.timeout:g} s", {"Connection": "close"}
        ) from None
    if not body:
        raise HTTPException(400, "the body is empty, expected an image")
    return [Upload("image", body)]


def decode(uploads: list[Upload], manifest: Manifest, limits: Limits) -> np.ndarray:
    """Return the images as the network takes them: uint8 ``[N, C, H, W]``.

    Raises:
        HTTPException: 400 no image or a corrupt one, 413 too many pixels.
    """
    shape, pixels = manifest.input_shape, []
    for upload in uploads:
        size = _claimed_pixels(upload.content)
        if size > limits.max_pixels:
            found = f"{size:,}" if size < sys.maxsize else "too many"
            raise HTTPException(
                413, f"'{upload.name}' has {found} pixels, at most {limits.max_pixels:,} are taken"
            )
        try:
            image = image_from_bytes(
                Path(upload.name), upload.content, shape[0], value_range=manifest.value_range
            )
            pixels.append(fit_image(image, shape, manifest.centre))
        except DataError as error:
            raise HTTPException(400, str(error).rstrip(".")) from None
    return np.stack(pixels)


def _claimed_pixels(content: bytes) -> int:
    """Return the size that the head of an image claims, 0 where Pillow cannot read it."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return sys.maxsize
    except Exception:  # decoding says what is wrong, with its own limit on pixels
        return 0


async def _multipart(request: Request, limits: Limits) -> list[Upload]:
    uploads, others = [], 0
    async with request.form(max_files=limits.max_images + 1, max_fields=16) as form:
        for _, part in form.multi_items():
            if isinstance(part, UploadFile):
                name = for_display(part.filename or "image")
                uploads.append(Upload(name, await part.read()))
            else:
                others += 1
    if not uploads:
        why = ": an image in a form needs a filename" if others else ""
        raise HTTPException(400, f"the form holds no file{why}")
    if len(uploads) > limits.max_images:
        raise HTTPException(413, f"more than {limits.max_images} images in one request")
    return uploads


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()
