"""Imported before any test: Paddle gets all cores only if the package comes first."""

import paddle_resnet

# Not Paddle's advice against threads in front of every test run.
paddle_resnet.runtime.import_paddle()
