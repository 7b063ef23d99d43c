"""What the tests of this folder share."""

import numpy as np
import paddle


def network_logits(network, images, mean, std, batch=50):
    """The network's answers, with a normalisation that is written down here again."""
    mean = np.array(mean, np.float64).reshape(-1, 1, 1)
    std = np.array(std, np.float64).reshape(-1, 1, 1)
    x = ((images / 255.0 - mean) / std).astype(np.float32)
    if getattr(network, "data_format", "NCHW") == "NHWC":
        x = x.transpose(0, 2, 3, 1)
    network.eval()
    with paddle.no_grad():
        parts = [network(paddle.to_tensor(x[i : i + batch])) for i in range(0, len(x), batch)]
    return np.concatenate([part.numpy() for part in parts])
