import math

import pytest

from paddle_resnet import formatting


def plain(text):
    return text.replace(formatting.SPACE, " ")


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (formatting.percent, 0.93412, "93.41 %"),
        (formatting.percent, 0, "0.00 %"),
        (formatting.percent, math.nan, "NaN"),
        (formatting.percent, None, "–"),
        (formatting.percent, "<b>", "–"),
        (formatting.confidence, 0.9731, "97.3 %"),
        (formatting.confidence, 0.99951, "> 99.9 %"),
        (formatting.count, 1234567, "1,234,567"),
        (formatting.count, True, "–"),
        (formatting.count, 10**400, "–"),
        (formatting.short_count, 23520842, "23.5 M"),
        (formatting.short_count, 272474, "272 k"),
        (formatting.short_count, 999_950, "1.00 M"),
        (formatting.short_count, 999, "999"),
        (formatting.duration, 0, "0 s"),
        (formatting.duration, 0.4234, "0.42 s"),
        (formatting.duration, 9.96, "10 s"),
        (formatting.duration, 59.7, "1 min 00 s"),
        (formatting.duration, 725, "12 min 05 s"),
        (formatting.duration, 3599.8, "1 h 00 min"),
        (formatting.duration, 3725, "1 h 02 min"),
        (formatting.duration, 3 * 86400 + 4 * 3600, "3 d 04 h"),
        (formatting.duration, math.inf, "∞"),
        (formatting.decimal, 0.312394, "0.3124"),
        (formatting.decimal, 0.99996, "1.000"),
        (formatting.decimal, 0, "0"),
        (formatting.decimal, 3.2e-5, "3.2×10⁻⁵"),
        (formatting.decimal, 1e7, "1×10⁷"),
        (formatting.decimal, -math.inf, "−∞"),
        (formatting.rate, 1234.5, "1,234"),
        (formatting.rate, 45.67, "45.7"),
        (formatting.passes, 200.0, "200"),
        (formatting.passes, 0.1, "0.1"),
        (formatting.passes, 12.3456, "12.35"),
        (formatting.passes, None, "–"),
        (formatting.date, "2025-05-03T14:05:09+02:00", "3 May 2025, 14:05 UTC+02:00"),
        (formatting.date, "2025-05-03T14:05:09Z", "3 May 2025, 14:05 UTC"),
        (formatting.date, "yesterday", "yesterday"),
    ],
)
def test_written_for_people(write, value, text):
    assert plain(write(value)) == text


def test_one_and_many():
    assert formatting.counted(1, "pass", "passes") == "1 pass"
    assert formatting.counted(2000, "image") == "2,000 images"
