"""`python tools/train.py ...` is `paddle-resnet train ...`, from a checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paddle_resnet.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
