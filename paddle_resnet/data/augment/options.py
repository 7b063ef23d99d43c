"""What may happen to training images beside a padded crop and a flip."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import DataError, for_display


@dataclass(frozen=True)
class Augment:
    """Switches, all of them off by default. They act in this order.

    Args:
        random_resized_crop: smallest share of the image's area that a random crop may have; the
            crop is then scaled to the full size. 0 is off.
        alternate_flip: show each image from one side in the even epochs and from the other in the
            odd ones, where it is flipped at all; chance decides which comes first.
        trivial_augment: TrivialAugment, one random operation an image.
        random_erasing: probability that a random rectangle is set to the mean colour (where images
            are not normalised, to black).
        cutout: side of a square in pixels that is set to that colour in every image. 0 is off.
        mixup: alpha of mixup, from 0.05 to 4, such as 0.2. 0 is off.
        cutmix: alpha of cutmix, from 0.05 to 4, such as 1. 0 is off.

    Raises:
        DataError: a number out of range.
    """

    random_resized_crop: float = 0.0
    alternate_flip: bool = False
    trivial_augment: bool = False
    random_erasing: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        most_of = {"random_resized_crop": 1, "random_erasing": 1, "mixup": 4, "cutmix": 4}
        for name, most in most_of.items():
            given = getattr(self, name)
            least = 0.05 if name in ("mixup", "cutmix") else 0.0
            if not (given == 0 or least <= given <= most):
                raise DataError(
                    f"{name} must be 0 or from {least:g} to {most}, not {for_display(repr(given))}."
                )
        if self.cutout < 0:
            raise DataError(
                f"cutout must be 0 or more pixels, not {for_display(repr(self.cutout))}."
            )

    @property
    def mixes(self) -> bool:
        """Whether batches hold mixed images."""
        return self.mixup > 0 or self.cutmix > 0


NO_AUGMENT = Augment()
