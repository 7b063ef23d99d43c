"""`python -m paddle_resnet` is `paddle-resnet`."""

import sys

from .cli import main

sys.exit(main())
