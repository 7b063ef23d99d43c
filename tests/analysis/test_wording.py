import math

import pytest

from paddle_resnet.analysis import wording


def plain(text):
    return text.replace(wording.SPACE, " ")


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (wording.percent, 0.93412, "93.41 %"),
        (wording.percent, 0, "0.00 %"),
        (wording.percent, math.nan, "NaN"),
        (wording.percent, None, "–"),
        (wording.percent, "<b>", "–"),
        (wording.confidence, 0.9731, "97.3 %"),
        (wording.confidence, 0.99951, "> 99.9 %"),
        (wording.count, 1234567, "1,234,567"),
        (wording.count, True, "–"),
        (wording.count, 10**400, "–"),
        (wording.short_count, 23520842, "23.5 M"),
        (wording.short_count, 272474, "272 k"),
        (wording.short_count, 999_950, "1.00 M"),
        (wording.short_count, 999, "999"),
        (wording.duration, 0, "0 s"),
        (wording.duration, 0.4234, "0.42 s"),
        (wording.duration, 9.96, "10 s"),
        (wording.duration, 59.7, "1 min 00 s"),
        (wording.duration, 725, "12 min 05 s"),
        (wording.duration, 3599.8, "1 h 00 min"),
        (wording.duration, 3725, "1 h 02 min"),
        (wording.duration, 3 * 86400 + 4 * 3600, "3 d 04 h"),
        (wording.duration, math.inf, "∞"),
        (wording.decimal, 0.312394, "0.3124"),
        (wording.decimal, 0.99996, "1.000"),
        (wording.decimal, 0, "0"),
        (wording.decimal, 3.2e-5, "3.2×10⁻⁵"),
        (wording.decimal, 1e7, "1×10⁷"),
        (wording.decimal, -math.inf, "−∞"),
        (wording.rate, 1234.5, "1,234"),
        (wording.rate, 45.67, "45.7"),
        (wording.passes, 200.0, "200"),
        (wording.passes, 0.1, "0.1"),
        (wording.passes, 12.3456, "12.35"),
        (wording.passes, None, "–"),
        (wording.date, "2025-05-03T14:05:09+02:00", "3 May 2025, 14:05 UTC+02:00"),
        (wording.date, "2025-05-03T14:05:09Z", "3 May 2025, 14:05 UTC"),
        (wording.date, "yesterday", "yesterday"),
    ],
)
def test_written_for_people(write, value, text):
    assert plain(write(value)) == text


def test_one_and_many():
    assert wording.counted(1, "pass", "passes") == "1 pass"
    assert wording.counted(2000, "image") == "2,000 images"
