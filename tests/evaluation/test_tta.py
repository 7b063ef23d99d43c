"""Views of test-time augmentation, each computed by another way than slicing a padded array."""

import numpy as np
import pytest

from paddle_resnet.evaluation.tta import TTA_VIEWS, move, tta_views

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 32, 64)).astype(np.float32)


def moved(images, down, right):
    """Pixel (y, x) is that of (y + down, x + right), mirrored without repeating the border."""
    height, width = images.shape[2:]

    def inside(index, size):
        index = abs(index)
        return index if index < size else 2 * (size - 1) - index

    rows = [inside(y + down, height) for y in range(height)]
    columns = [inside(x + right, width) for x in range(width)]
    return images[:, :, rows][:, :, :, columns]


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, 4), (-2, 4), (1, -3), (-1, -1)])
def test_moved_images_are_mirrored_outside(down, right):
    np.testing.assert_array_equal(move(IMAGES, down, right), moved(IMAGES, down, right))


def expected(tta):
    """Weights and places of the views, as their names say."""
    places = [(1.0, 0, 0)]
    if tta.startswith("crops"):  # a sixteenth of 32 x 64
        places += [(1.0, y, x) for y in (-2, 2) for x in (-4, 4)]
    if tta.startswith("shifts"):  # a thirty-second
        places += [(0.5, -1, -2), (0.5, 1, 2)]
    for weight, down, right in places:
        view = moved(IMAGES, down, right)
        yield weight, view
        if "flip" in tta:
            yield weight, np.flip(view, axis=3)


@pytest.mark.parametrize("tta", TTA_VIEWS)
def test_views_are_what_their_name_says(tta):
    views = list(tta_views(IMAGES, tta))
    assert len(views) == TTA_VIEWS[tta]
    for (weight, view), (right_weight, right_view) in zip(views, expected(tta)):
        assert weight == right_weight
        np.testing.assert_array_equal(view, right_view)
