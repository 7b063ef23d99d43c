"""Imported before any test: Paddle gets all cores only if the package comes first."""

import os

import paddle_resnet

# Not Paddle's advice against threads in front of every test run.
paddle_resnet.cpu_runtime.import_paddle()

# Most tests compare with plain Paddle, some to the last bit; tests/kernels tests the operator.
os.environ.setdefault("PADDLE_RESNET_KERNELS", "off")
