"""`python tools/serve.py ...` is `paddle-resnet serve ...`, from a checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paddle_resnet.cli import main

sys.exit(main(["serve", *sys.argv[1:]]))
