"""ResNet-18 to 152: the counts of the paper, and equality with ``paddle.vision.models``."""

import numpy as np
import paddle
import pytest
from paddle import nn

import paddle_resnet
from paddle_resnet import BasicBlock, BottleneckBlock, ResNet, create_model, list_models, resnet50
from paddle_resnet.errors import ModelError

DEPTHS = (18, 34, 50, 101, 152)
COUNTS_1000 = dict(zip(DEPTHS, (11_689_512, 21_797_672, 25_557_032, 44_549_160, 60_192_808)))
COUNTS_CIFAR = dict(zip(DEPTHS, (11_173_962, 21_282_122, 23_520_842, 42_512_970, 58_156_618)))


def trainable(network):
    return sum(p.size for p in network.parameters() if not p.stop_gradient)


@pytest.mark.parametrize("depth", DEPTHS)
def test_parameter_counts(depth):
    with paddle.LazyGuard():  # shapes are enough
        assert trainable(create_model(f"resnet{depth}")) == COUNTS_1000[depth]


@pytest.mark.parametrize("depth", DEPTHS)
def test_parameter_counts_with_10_classes_and_the_cifar_stem(depth):
    with paddle.LazyGuard():
        network = create_model(f"resnet{depth}", num_classes=10, stem="cifar")
    assert trainable(network) == COUNTS_CIFAR[depth]


def test_resnet50_has_49_convolutions_on_the_main_path_4_projections_and_1_linear_layer():
    network = resnet50(num_classes=10)
    assert trainable(network) == 23_528_522
    convs = [name for name, layer in network.named_sublayers() if isinstance(layer, nn.Conv2D)]
    linears = [layer for layer in network.sublayers() if isinstance(layer, nn.Linear)]
    projections = [name for name in convs if "downsample" in name]
    assert (len(convs) - len(projections), len(projections), len(linears)) == (49, 4, 1)


def test_running_statistics_are_listed_but_not_trainable():
    with paddle.LazyGuard():
        network = resnet50()
    assert sum(p.size for p in network.parameters()) == 25_610_152
    assert all(p.stop_gradient for n, p in network.named_parameters() if n.endswith("_mean"))


def test_bottleneck_arithmetic():
    block = BottleneckBlock(256, 64)
    assert sum(unit.conv.weight.size for unit in (block.conv1, block.conv2, block.conv3)) == 69_632
    wide = BasicBlock(256, 256)
    assert sum(unit.conv.weight.size for unit in (wide.conv1, wide.conv2)) == 1_179_648


@pytest.mark.parametrize("depth", [18, 50])
def test_equals_paddle_vision_in_keys_outputs_gradients_and_statistics(depth):
    ours = create_model(f"resnet{depth}", num_classes=10)
    theirs = getattr(paddle.vision.models, f"resnet{depth}")(num_classes=10)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    theirs.set_state_dict(ours.state_dict())
    images, labels = paddle.randn([4, 3, 64, 64]), paddle.to_tensor([1, 0, 3, 9])

    for network in (ours, theirs):
        network.train()
        nn.CrossEntropyLoss()(network(images), labels).backward()
    reference = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        if parameter.stop_gradient:  # the running statistics, after one step of training
            close(parameter, reference[name], name)
        else:
            close(parameter.grad, reference[name].grad, name)

    for network in (ours, theirs):
        network.eval()
    close(ours(images), theirs(images), "logits")


def close(a, b, what):
    scale = max(float(b.abs().max()), 1e-6)
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=2e-5 * scale, err_msg=what)


def test_the_tools_of_paddle_take_a_network_as_it_is(tmp_path):
    network = create_model("resnet18", num_classes=10)
    assert paddle.summary(network, (1, 3, 32, 32))["trainable_params"] == 11_181_642

    wrapped = paddle.DataParallel(network)
    wrapped.eval()
    images = paddle.randn([2, 3, 32, 32])
    expected = network(images).numpy()
    np.testing.assert_array_equal(wrapped(images).numpy(), expected)

    paddle.save(network.state_dict(), str(tmp_path / "r.pdparams"))
    other = create_model("resnet18", num_classes=10)
    other.set_state_dict(paddle.load(str(tmp_path / "r.pdparams")))
    other.eval()
    np.testing.assert_array_equal(other(images).numpy(), expected)

    spec = paddle.static.InputSpec([None, 3, None, None], "float32")
    paddle.jit.save(other, str(tmp_path / "r"), input_spec=[spec])
    exported = paddle.jit.load(str(tmp_path / "r"))
    np.testing.assert_allclose(exported(images).numpy(), expected, atol=1e-5)


def test_paddle_model_fits_a_step():
    model = paddle.Model(resnet18_for_cifar())
    model.prepare(
        paddle.optimizer.Momentum(0.01, 0.9, model.parameters(), weight_decay=1e-4),
        nn.CrossEntropyLoss(),
        paddle.metric.Accuracy(topk=(1, 5)),
    )
    images, labels = np.random.rand(4, 3, 32, 32).astype("float32"), np.arange(4)[:, None]
    data = paddle.io.TensorDataset([paddle.to_tensor(images), paddle.to_tensor(labels)])
    model.fit(data, batch_size=2, epochs=1, num_iters=1, verbose=0)
    assert set(model.evaluate(data, batch_size=2, verbose=0)) == {"loss", "acc_top1", "acc_top5"}


def resnet18_for_cifar():
    return paddle_resnet.resnet18(num_classes=10, stem="cifar")


def test_sync_batch_norm_conversion_keeps_the_network():
    network = nn.SyncBatchNorm.convert_sync_batchnorm(resnet18_for_cifar())
    assert trainable(network) == COUNTS_CIFAR[18]
    assert isinstance(network.conv1.bn, nn.SyncBatchNorm)
    with pytest.raises(
        ModelError, match="'conv1' has a SyncBatchNorm, whose statistics would move"
    ):
        network.freeze_backbone()


def test_no_classes_gives_the_pooled_features():
    network = create_model("resnet18", num_classes=0)
    assert network(paddle.randn([2, 3, 33, 47])).shape == [2, network.num_features] == [2, 512]


def test_stages_may_be_given_block_by_block():
    network = ResNet((1, 2), BasicBlock, 10, widths=(8, 16), stem="cifar")
    assert network(paddle.randn([2, 3, 9, 9])).shape == [2, 10]


def test_list_models_orders_by_depth_and_takes_patterns():
    names = list_models("resnet*")
    assert names.index("resnet50") < names.index("resnet101") < names.index("resnet152")
    assert list_models("resnet1?") == ["resnet18"]
    assert set(list_models()) >= {f"resnet{depth}" for depth in DEPTHS}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: create_model("resnet-50"), "unknown network 'resnet-50'.*Did you mean 'resnet50'"),
        (lambda: create_model("resnet50", num_class=10), "no option 'num_class'.*'num_classes'"),
        (lambda: create_model("resnet50", stem="cifer"), "unknown stem 'cifer'.*'cifar'"),
        (lambda: create_model("resnet50", shortcut="Z"), "unknown shortcut 'Z'"),
        (lambda: ResNet(51), "no ResNet has 51 layers, expected one of 18, 34, 50"),
        (lambda: ResNet((2, 0)), r"no ResNet has \(2, 0\) layers.*at least one in each"),
        (lambda: ResNet((2, 2), widths=(8,)), "2 stages need as many widths"),
        (lambda: ResNet(18, num_classes=-1), "num_classes must be a whole number"),
    ],
)
def test_what_cannot_be_built_is_a_sentence(build, words):
    with pytest.raises(ModelError, match=words):
        build()
