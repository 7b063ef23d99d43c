"""What is special about GoogLeNet: its auxiliary heads and its two kinds of third branch."""

import numpy as np
import paddle
import pytest
from paddle import nn

from paddle_resnet import googlenet


@pytest.fixture(scope="module")
def network():
    paddle.seed(0)
    return googlenet(num_classes=10, aux_heads=True)


@pytest.fixture(scope="module")
def images():
    return paddle.randn([2, 3, 64, 64])


def test_forward_gives_the_main_logits_alone_in_both_modes(network, images):
    network.train()
    assert network(images).shape == [2, 10]
    assert [head.shape for head in network.auxiliary_logits] == [[2, 10]] * 2
    network.eval()
    assert network(images).shape == [2, 10]
    assert network.auxiliary_logits == []


def test_the_training_loss_adds_three_tenths_of_each_auxiliary_loss(network, images):
    labels = paddle.to_tensor([3, 4])
    loss = nn.CrossEntropyLoss()
    network.train()
    logits = network(images)
    parts = [float(loss(head, labels)) for head in (logits, *network.auxiliary_logits)]
    total = network.training_loss(loss)(logits, labels)
    assert float(total) == pytest.approx(parts[0] + 0.3 * (parts[1] + parts[2]), rel=1e-6)
    assert network.auxiliary_logits == []
    total.backward()
    missing = [n for n, p in network.named_parameters() if not p.stop_gradient and p.grad is None]
    assert missing == []
    network.eval()
    assert float(network.training_loss(loss)(logits, labels)) == pytest.approx(parts[0])


@pytest.mark.parametrize("recompute", [False, 2])
@pytest.mark.parametrize(
    "look",
    [
        lambda network, x: network.features(x),
        lambda network, x: network.features(x, [1]),
        lambda network, x: network.forward_features(x),
        lambda network, x: [network.features(x) for _ in range(3)],
        lambda network, x: network.forward_head(paddle.ones([1, 1024, 1, 1])),
    ],
    ids=["features", "the first", "forward_features", "thrice", "forward_head"],
)
def test_looking_at_features_in_training_leaves_the_auxiliary_logits(
    network, images, look, recompute
):
    network.train()
    network.recompute = recompute
    try:
        network.auxiliary_logits = []
        look(network, images)
        assert network.auxiliary_logits == []
        logits, labels = network(images), paddle.to_tensor([3, 4])
        heads = list(network.auxiliary_logits)
        look(network, images[:1])
        assert all(a is b for a, b in zip(network.auxiliary_logits, heads))
        assert len(network.auxiliary_logits) == len(heads) == 2
        loss = nn.CrossEntropyLoss()
        parts = [float(loss(head, labels)) for head in (logits, *heads)]
        total = network.training_loss(loss)(logits, labels)
        assert float(total) == pytest.approx(parts[0] + 0.3 * (parts[1] + parts[2]), rel=1e-6)
    finally:
        network.recompute = False


def test_paddle_model_trains_and_evaluates_with_auxiliary_heads(network, images):
    model = paddle.Model(network)
    optimizer = paddle.optimizer.Momentum(0.001, parameters=network.parameters())
    model.prepare(optimizer, network.training_loss(nn.CrossEntropyLoss()), paddle.metric.Accuracy())
    before = network.aux1.fc2.weight.numpy()
    labels = paddle.to_tensor([[3], [4]])
    model.train_batch([images], [labels])
    assert (network.aux1.fc2.weight.numpy() != before).any()
    loss, _ = model.eval_batch([images], [labels])
    assert np.isfinite(loss).all()


def test_auxiliary_heads_agree_between_the_layouts(network):
    last = googlenet(num_classes=10, aux_heads=True, data_format="NHWC")
    last.set_state_dict(network.state_dict())
    for layout in (network, last):
        layout.eval()
        layout.aux1.eval()
    x = paddle.rand([2, 512, 9, 9])
    expected = network.aux1(x).numpy()
    np.testing.assert_allclose(
        last.aux1(paddle.transpose(x, [0, 2, 3, 1])).numpy(), expected, atol=1e-4
    )


def test_names_are_torchvisions(network):
    keys = set(network.state_dict())
    assert {
        *("conv1.conv.weight", "conv1.bn.weight", "conv3.bn._mean"),
        *("inception3a.branch1.conv.weight", "inception4e.branch2.1.bn.bias"),
        *("inception5b.branch4.1.conv.weight", "aux1.conv.bn.weight", "aux2.fc2.bias"),
        *("fc.weight", "fc.bias"),
    } <= keys
    # 57 convolutions and two in the auxiliary heads, each with BN; five linear layers.
    assert len(keys) == 59 * 5 + 5 * 2


def test_kernels_of_the_third_branch():
    with paddle.LazyGuard():
        published, paper = googlenet(), googlenet(large_kernel=5)
    assert published.inception3a.branch3[1].conv.weight.shape == [32, 16, 3, 3]
    assert paper.inception3a.branch3[1].conv.weight.shape == [32, 16, 5, 5]


def test_maps_of_the_paper():
    network = googlenet(num_classes=10)
    network.eval()
    shapes = [m.shape[1:] for m in network.features(paddle.zeros([1, 3, 224, 224]))]
    assert shapes == [[64, 112, 112], [192, 56, 56], [480, 28, 28], [832, 14, 14], [1024, 7, 7]]


def test_a_new_head_reaches_the_auxiliary_heads():
    network = googlenet(num_classes=10, aux_heads=True)
    network.reset_classifier(3)
    network(paddle.randn([2, 3, 64, 64]))
    assert [head.shape for head in network.auxiliary_logits] == [[2, 3]] * 2
