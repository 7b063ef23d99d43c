import pytest

from paddle_resnet.errors import UserError, did_you_mean


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
    assert did_you_mean(given, ["resnet50", "vgg"]) == expected


@pytest.mark.parametrize("kind", [UserError, *UserError.__subclasses__()])
def test_a_user_error_is_caught_only_as_what_it_is(kind):
    """Whoever catches Paddle's ValueError, OSError or RuntimeError must not catch ours with it."""
    assert not issubclass(kind, (ValueError, ArithmeticError, LookupError, OSError, RuntimeError))
