"""Text files as other people's machines write them: UTF-8, UTF-16, GBK or Windows' Latin."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import NamedTuple

from ...errors import PATH_LIMIT, DataError, for_display

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # in front of UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Control characters that no text has.
_BINARY = re.compile("[\x00-\x08\x0b\x0e-\x19\x1b-\x1f]")


class Text(NamedTuple):
    """What a text file says, and in which encoding."""

    content: str
    encoding: str

    @property
    def note(self) -> str:
        """Return what to say about the encoding; nothing for UTF-8."""
        names = {"gb18030": "GBK", "cp1252": "Windows-1252"}
        name = names.get(self.encoding, self.encoding.upper())
        return "" if self.encoding == "utf-8" else f"read as {name}, since it is not UTF-8"


def read_text(path: Path, most_bytes: int) -> list[Text]:
    """Read a text file whole.

    Returns:
        list: the text in each encoding that its bytes may be in, the most likely one first. Chinese
        in GBK can be valid UTF-8 by chance.

    Raises:
        DataError: it cannot be read, is too large, or is no text.
    """
    name = for_display(path, PATH_LIMIT)
    try:
        if path.stat().st_size > most_bytes:
            raise DataError(f"'{name}' is larger than {most_bytes >> 20} MB: no list.")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"the list '{name}' cannot be read: {error.strerror or error}.") from None
    texts = decode_text(content)
    if not texts:
        raise DataError(f"'{name}' is no text in UTF-8, UTF-16 or GBK: expected a list of images.")
    return texts


def decode_text(content: bytes) -> list[Text]:
    """Decode by the byte-order mark, else as UTF-8 and as the bytes look, the likeliest one first.

    Chinese characters are pairs of bytes in GBK, so runs of bytes above 127 have even lengths;
    accented letters of Latin text mostly stand alone.

    Returns:
        list: nothing for bytes that are no text; one text where all of it is ASCII.
    """
    mark, encoding = next(
        ((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "")
    )
    if encoding:
        candidates = [encoding]
    elif content[1::2].count(0) > len(content) // 4:
        candidates = ["utf-16-le"]
    elif content[::2].count(0) > len(content) // 4:
        candidates = ["utf-16-be"]
    else:
        runs = re.findall(rb"[\x80-\xff]+", content)
        even = sum(len(run) % 2 == 0 for run in runs)
        chinese = 2 * even >= len(runs)
        candidates = ["utf-8", *(("gb18030", "cp1252") if chinese else ("cp1252", "gb18030"))]
    found = []
    for encoding in candidates:
        try:
            text = content[len(mark) :].decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _BINARY.search(text):
            found.append(Text(text, encoding))
        if text.isascii():
            break
    return found
