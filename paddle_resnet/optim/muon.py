"""Muon: momentum whose steps turn all directions of a convolution's weights alike."""

from __future__ import annotations

from typing import Any

import paddle
from paddle import Tensor

#: Of the polynomial a s + b s^3 + c s^5 that a step of the iteration applies to singular values:
#: it pulls small ones up fast and lets them end near 1, at 0.7 to 1.2 (Jordan et al. 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(paddle.optimizer.Momentum):
    """``paddle.optimizer.Momentum`` for all but convolutions; for these, orthogonal steps.

    The momentum of a convolution's weights, as a matrix [O, C * KH * KW], is replaced by the
    nearest matrix whose singular values are all one: U V^T of its U S V^T. A step then changes what
    the layer does by the same amount in all directions, also those of small gradients. Jordan et
    al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Liu et al. 2025
    (arXiv:2502.16982), section 2.1; why: Bernstein and Newhouse 2024 (arXiv:2409.20325), section 2.

    The norm of a convolution's weights is held at that of an orthogonal matrix of their shape,
    about that of a step: the rate is the fraction of the weights that a step changes. A BN after
    each convolution cancels the norm; do not use this optimizer for networks without BN.

    Args:
        learning_rate (float | LRScheduler): such as 0.1 to 0.3 for convolutions.
        momentum (float): Default: 0.9.
        parameters (list of Tensor): of the network.
        use_nesterov (bool): Default: False.
        grad_clip: as in Paddle.
        steps (int): of the iteration. Default: 3.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        parameters: Any = None,
        use_nesterov: bool = False,
        grad_clip: Any = None,
        steps: int = 3,
    ) -> None:
        super().__init__(
            learning_rate, momentum, parameters, use_nesterov=use_nesterov, grad_clip=grad_clip
        )
        self._steps = steps

    def _append_optimize_op(self, block: Any, param_and_grad: Any) -> Any:
        parameter, gradient = param_and_grad
        if parameter.ndim != 4:
            return super()._append_optimize_op(block, param_and_grad)
        with paddle.no_grad():
            velocity = self._get_accumulator("velocity", parameter)
            paddle.assign(velocity * self._momentum + gradient, velocity)
            step = gradient + velocity * self._momentum if self._use_nesterov else velocity
            rows = parameter.shape[0]
            update = orthogonal(step.reshape([rows, -1]), self._steps).reshape(parameter.shape)
            norm = paddle.sqrt((parameter * parameter).sum()) + 1e-12
            held = parameter * (min(rows, parameter.size // rows) ** 0.5 / norm)
            paddle.assign(held - update * self._create_param_lr(param_and_grad), parameter)
        return None


def orthogonal(matrix: Tensor, steps: int) -> Tensor:
    """Return about U V^T of a matrix U S V^T, by an iteration of products alone.

    Args:
        matrix: float32 [rows, columns].
        steps (int): of the Newton-Schulz iteration; 3 bring singular values above a hundredth of
            the norm to about 0.4 to 1.2, 5 those above a thousandth.

    Returns:
        Tensor of the same shape; zeros for zeros.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.t()  # the smaller of the two squares
    x = x / (paddle.sqrt((x * x).sum()) + 1e-7)
    for _ in range(steps):
        square = paddle.matmul(x, x, transpose_y=True)
        x = _A * x + paddle.matmul(_B * square + _C * paddle.matmul(square, square), x)
    return x if wide else x.t()
