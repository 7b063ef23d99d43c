"""What the service takes and answers, as its OpenAPI description says it."""

from __future__ import annotations

from typing import Any, Callable, Optional

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from .limits import Limits


class Answer(BaseModel):
    """One class and its probability."""

    name: str = Field(alias="class")
    probability: float


class Result(BaseModel):
    """The answers to one image."""

    image: str
    top: list[Answer]
    heatmap: Optional[str] = None


class Prediction(BaseModel):
    """The answer to a request."""

    model: str
    results: list[Result]
    milliseconds: float


class Health(BaseModel):
    """What serves, and whether it takes requests."""

    status: str
    model: str
    precision: str
    runtime: str
    classes: int
    input_shape: list[int]
    heatmap: bool


class Error(BaseModel):
    """Why a request is refused."""

    error: str


_WRONG_HOST = "a Host header that the service does not answer to"
_STATUSES = {
    400: f"no image, a corrupt one, a wrong query, or {_WRONG_HOST}",
    408: "the body came too slowly",
    411: "no Content-Length",
    413: "too many bytes, pixels or images",
    415: "a media type that is no image",
    500: "the network failed",
    503: "too many images wait, or the answer took too long; try again later",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


PREDICT_RESPONSES: dict[Any, Any] = {
    status: {"model": Error, "description": text} for status, text in _STATUSES.items()
}
HEALTH_RESPONSES: dict[Any, Any] = {
    400: {"model": Error, "description": _WRONG_HOST},
    503: {"model": Health, "description": "it is stopping"},
}
#: A model would be described as plain text, as what the metrics are.
METRICS_RESPONSES: dict[Any, Any] = {
    400: {
        "description": _WRONG_HOST,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
}
#: FastAPI would describe a body that it parses itself.
PREDICT_BODY = {
    "requestBody": {
        "required": True,
        "description": "One image as the body, in a format that Pillow reads (PostScript is not "
        "taken), or several in a form, each with a filename, in fields of any name.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                            "maxItems": Limits.max_images,
                        }
                    },
                    "required": ["file"],
                }
            },
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
        },
    }
}


def description(app: FastAPI, heatmap: bool) -> Callable[[], dict[str, Any]]:
    """Return the function that makes an application's description, once.

    Args:
        app: with its routes.
        heatmap: whether heat maps can be asked for.
    """
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    routes=app.routes,
                )
            )
            _as_it_answers(made, heatmap)
        return made

    return openapi


def _as_it_answers(made: dict[str, Any], heatmap: bool) -> None:
    predict = made["paths"]["/predict"]["post"]
    # A wrong query is answered with 400 here.
    del predict["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        made["components"]["schemas"].pop(name, None)
    if not heatmap:
        (parameter,) = (each for each in predict["parameters"] if each["name"] == "heatmap")
        parameter["schema"]["enum"] = [False]
        parameter["description"] = parameter["schema"]["description"] = (
            "only of a run folder or weights file as the source, which this is not"
        )
