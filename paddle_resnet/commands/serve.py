"""`paddle-resnet serve`: a network as an HTTP service."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .. import cpu_runtime
from ..errors import UserError
from . import _parser

EXAMPLES = """\
  paddle-resnet serve exports/resnet20/resnet20.int8.onnx     without Paddle
  paddle-resnet serve runs/NAME                               with heat maps on the page
  paddle-resnet serve FILE.onnx --host 0.0.0.0 --port 80
  curl --data-binary @cat.jpg http://127.0.0.1:8000/predict
  curl -F file=@cat.jpg -F file=@dog.jpg 'http://127.0.0.1:8000/predict?top=3'
"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = _parser.make(subparsers, "serve", "a network as an HTTP service", EXAMPLES, run)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="an exported file, a run folder, a weights file, or a name with weights",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000")
    parser.add_argument(
        "--runtime",
        choices=("onnxruntime", "openvino"),
        help="of an exported file (default: onnxruntime)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="of the runtime (default: all cores)"
    )
    parser.add_argument(
        "--max-batch", type=int, default=32, metavar="N", help="images computed at once"
    )
    parser.add_argument(
        "--max-waiting", type=int, default=256, metavar="N", help="images that may wait; then 503"
    )
    parser.add_argument(
        "--max-mb", type=float, default=10, metavar="MB", help="size of a request; then 413"
    )
    parser.add_argument(
        "--max-megapixels", type=float, default=40, metavar="N", help="of an image; then 413"
    )
    parser.add_argument(
        "--timeout", type=float, default=10, metavar="S", help="of a body, and of an answer"
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        metavar="NAME",
        help="value of the Host header to answer; may be repeated (default: localhost on a "
        "loopback address, else all)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal."""
    for name in ("threads", "max_batch", "max_waiting", "max_mb", "max_megapixels", "timeout"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < 1e6:
            raise UserError(f"--{name.replace('_', '-')} is {value}, expected more than 0.")
    if not 0 <= arguments.port < 65536:
        raise UserError(f"--port is {arguments.port}, expected 0 to 65535.")
    from ..deploy.predictor import is_export
    from ..deploy.service.limits import Limits
    from ..deploy.service.server import check_packages, serve

    check_packages()
    backend = (_exported if is_export(arguments.source) else _trained)(arguments)
    limits = Limits(
        max_body=int(arguments.max_mb * 2**20),
        max_pixels=int(arguments.max_megapixels * 10**6),
        max_batch=arguments.max_batch,
        max_waiting=arguments.max_waiting,
        timeout=arguments.timeout,
    )
    serve(backend, arguments.host, arguments.port, limits, arguments.allowed_host)
    return 0


def _exported(arguments: argparse.Namespace) -> Any:
    from ..deploy.predictor import Predictor
    from ..deploy.service.backend import export_backend

    return export_backend(
        Predictor(arguments.source, runtime=arguments.runtime, threads=arguments.threads)
    )


def _trained(arguments: argparse.Namespace) -> Any:
    if arguments.runtime:
        raise UserError(f"--runtime belongs to exported files, and '{arguments.source}' is none.")
    cpu_runtime.import_paddle()
    from ..deploy.service.network_backend import network_backend
    from ..deploy.source import open_source

    def log(line: str) -> None:
        print(line, file=sys.stderr)

    return network_backend(open_source(arguments.source), log)
