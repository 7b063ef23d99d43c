"""What a request to a service may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a request may ask for."""

    #: Bytes of a body.
    max_body: int = 10 * 2**20
    #: Pixels of an image.
    max_pixels: int = 40_000_000
    #: Images of a request.
    max_images: int = 16
    #: Images of a batch.
    max_batch: int = 32
    #: Images that wait; see `Batcher`.
    max_waiting: int = 256
    #: Seconds until the body must be here, and after that until the answer.
    timeout: float = 10.0
    #: Connections at one time.
    max_connections: int = 512
