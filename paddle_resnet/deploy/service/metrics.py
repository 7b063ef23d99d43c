"""Counts and latencies of a service, in Prometheus's format."""

from __future__ import annotations

from typing import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one service.

    Args:
        waiting: returns how many images wait.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        options = {"registry": self._registry}
        self.requests = Counter(
            "paddle_resnet_requests", "Requests of /predict by status.", ["status"], **options
        )
        self.seconds = Histogram(
            "paddle_resnet_request_seconds",
            "Time of a request of /predict, from its head to its answer.",
            buckets=_SECONDS,
            **options,
        )
        self.batch_images = Histogram(
            "paddle_resnet_batch_images", "Images of a batch.", buckets=_IMAGES, **options
        )
        Gauge("paddle_resnet_waiting_images", "Images that wait.", **options).set_function(waiting)

    def text(self) -> bytes:
        """Return all metrics."""
        return generate_latest(self._registry)
