"""The HTTP service as a FastAPI application: /predict, /health, /metrics, and a page at /."""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Optional

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from ...cpu_runtime import available_cores
from ...version import __version__
from ..demo.api_page import api_page
from ..demo.demo_page import security_headers, server_page
from ..manifest import top_classes
from .api_schema import (
    HEALTH_RESPONSES,
    METRICS_RESPONSES,
    PREDICT_BODY,
    PREDICT_RESPONSES,
    Health,
    Prediction,
    description,
)
from .backend import Backend
from .batching import Batcher, QueueFull
from .known_hosts import KnownHosts, check_patterns
from .limits import Limits
from .metrics import MEDIA_TYPE, Metrics
from .requests import check_head, decode, read_uploads

#: Largest side of a heat map, in pixels.
_HEATMAP_SIZE = 224
#: As nginx counts requests whose client left before the answer.
_CLIENT_GONE = 499


def create_app(
    backend: Backend,
    limits: Optional[Limits] = None,
    allowed_hosts: Optional[list[str]] = None,
) -> FastAPI:
    """Return the service of a network.

    Args:
        backend: the network.
        limits: of requests.
        allowed_hosts: values of the Host header that are answered. Default: all.

    Raises:
        DeployError: one of them is no name of a host.
    """
    service = _Service(backend, limits or Limits())
    app = FastAPI(
        title=f"{backend.manifest.model} by paddle_resnet",
        version=__version__,
        description="Classifies images.",
        lifespan=service.lifespan,
        docs_url=None,  # FastAPI's pages load their scripts from another server
        redoc_url=None,
    )
    app.state.service = service
    if allowed_hosts is not None:
        check_patterns(allowed_hosts)
        app.add_middleware(KnownHosts, patterns=allowed_hosts)
    app.add_exception_handler(StarletteHTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_query)
    app.add_exception_handler(Exception, _fail)
    app.post(
        "/predict",
        response_model=Prediction,
        response_model_exclude_none=True,
        responses=PREDICT_RESPONSES,
        openapi_extra=PREDICT_BODY,
        summary="Classify one or several images",
    )(service.predict)
    app.get(
        "/health",
        response_model=Health,
        responses=HEALTH_RESPONSES,
        summary="Whether the service answers",
    )(service.health)
    app.get(
        "/metrics",
        responses=METRICS_RESPONSES,
        response_class=PlainTextResponse,
        summary="Counts and latencies, for Prometheus",
    )(service.metrics_text)
    app.get("/", response_class=HTMLResponse, include_in_schema=False)(service.page)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        page = api_page(app.openapi(), str(request.base_url).rstrip("/"))
        return HTMLResponse(page, headers=security_headers(page))

    app.openapi = description(app, backend.heatmap is not None)  # type: ignore[method-assign]
    return app


class _Service:
    def __init__(self, backend: Backend, limits: Limits) -> None:
        self.backend, self.limits = backend, limits
        self.stopping = False
        self._html = server_page(
            backend.manifest,
            backend.runtime,
            limits.max_body,
            backend.heatmap is not None,
            limits.max_pixels,
        )
        self._decoders = asyncio.Semaphore(available_cores())
        self._batcher: Optional[Batcher] = None
        self.metrics = Metrics(lambda: self._batcher.waiting if self._batcher else 0)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Start the thread that runs the network; let it finish at the end."""
        limits = self.limits
        self._batcher = Batcher(
            limits.max_batch, limits.max_waiting, self.metrics.batch_images.observe
        )
        try:
            yield
        finally:
            self.stopping = True
            await run_in_threadpool(self._batcher.close)

    async def predict(
        self,
        request: Request,
        top: int = Query(5, ge=1, le=1000, description="answers for each image"),
        heatmap: bool = Query(False, description="an image of where the network sees the class"),
    ) -> Any:
        """Classify one image (the body) or several (a form with files).

        The answer holds a result for each image, in order.
        """
        began, status = time.perf_counter(), 500
        try:
            answer = await self._predict(request, top, heatmap)
            status = 200
        except StarletteHTTPException as error:  # FastAPI's own, and that of a malformed form
            status = error.status_code
            raise
        except ClientDisconnect:
            status = _CLIENT_GONE
            raise
        finally:
            seconds = time.perf_counter() - began
            self.metrics.requests.labels(str(status)).inc()
            self.metrics.seconds.observe(seconds)
        answer["milliseconds"] = round(1000 * seconds, 2)
        return answer

    async def _predict(self, request: Request, top: int, heatmap: bool) -> dict[str, Any]:
        check_head(request, self.limits)
        if heatmap and self.backend.heatmap is None:
            raise HTTPException(400, "heat maps need a run folder or weights file as the source")
        uploads = await read_uploads(request, self.limits)
        async with self._decoders:  # Pillow decodes without Python's lock
            pixels = await run_in_threadpool(decode, uploads, self.backend.manifest, self.limits)
        rows = await self._compute(self.backend.probabilities, pixels)
        heatmaps = await self._compute(self.backend.heatmap, pixels) if heatmap else []
        results: list[dict[str, Any]] = [
            {"image": upload.name, "top": top_classes(row, self.backend.manifest.classes, top)}
            for upload, row in zip(uploads, rows)
        ]
        for result, image, values in zip(results, pixels, heatmaps):
            result["heatmap"] = await run_in_threadpool(_heatmap_png, image, values)
        return {"model": self.backend.manifest.model, "results": results}

    async def _compute(self, run: Any, pixels: np.ndarray) -> np.ndarray:
        """Queue images and wait for their answers."""
        try:
            future = asyncio.wrap_future(self._batcher.submit(run, pixels))
            return await asyncio.wait_for(future, self.limits.timeout)
        except QueueFull as error:
            raise HTTPException(503, str(error), {"Retry-After": "1"}) from None
        except asyncio.TimeoutError:
            raise HTTPException(
                503, f"no answer within {self.limits.timeout:g} s", {"Retry-After": "1"}
            ) from None

    async def health(self) -> JSONResponse:
        """Return 200 while the service takes requests, 503 while it stops."""
        manifest = self.backend.manifest
        facts = {
            "status": "stopping" if self.stopping else "ok",
            "model": manifest.model,
            "precision": manifest.precision,
            "runtime": self.backend.runtime,
            "classes": len(manifest.classes),
            "input_shape": manifest.input_shape,
            "heatmap": self.backend.heatmap is not None,
        }
        return JSONResponse(facts, 503 if self.stopping else 200)

    async def metrics_text(self) -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(self.metrics.text(), media_type=MEDIA_TYPE)

    async def page(self) -> HTMLResponse:
        """Return the demo page."""
        return HTMLResponse(self._html, headers=security_headers(self._html))


def _heatmap_png(image: np.ndarray, values: np.ndarray) -> str:
    """Return a heat map over the image as the network sees it, as a data URI."""
    height, width = image.shape[1:]
    factor = max(1, _HEATMAP_SIZE // max(height, width))
    size = (width * factor, height * factor)
    heat = Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))
    heat = np.asarray(heat.resize(size, Image.Resampling.BICUBIC), np.float32)[..., None] / 255
    grey = np.asarray(
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)).squeeze())
        .convert("RGB")
        .resize(size, Image.Resampling.BILINEAR),
        np.float32,
    )
    # From transparent over orange to yellow.
    colour = np.concatenate([np.full_like(heat, 255), 90 + 150 * heat, 40 + 20 * heat], axis=-1)
    alpha = 0.75 * heat
    mixed = Image.fromarray((grey * (1 - alpha) + colour * alpha).round().astype(np.uint8))
    with io.BytesIO() as file:
        mixed.save(file, "PNG")
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


async def _refuse(request: Request, error: Any) -> JSONResponse:
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


async def _refuse_query(request: Request, error: Any) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return JSONResponse({"error": f"{where}: {first['msg']}"}, 400)


async def _fail(request: Request, error: Exception) -> JSONResponse:
    # The traceback goes to the service's log, not to the client.
    return JSONResponse({"error": "the service failed at this request"}, 500)
