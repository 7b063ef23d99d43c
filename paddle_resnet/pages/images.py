"""Images inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image


def png_data_uri(pixels: np.ndarray) -> str:
    """Return uint8 pixels [H, W], [H, W, 3] or [H, W, 4] as a ``data:image/png`` address."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
