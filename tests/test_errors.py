import pytest

from paddle_resnet.errors import nearest


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("resnet51", " Did you mean 'resnet50'?"),
        ("ResNet50", " Did you mean 'resnet50'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_nearest(given, expected):
    assert nearest(given, ["resnet50", "vgg"]) == expected
