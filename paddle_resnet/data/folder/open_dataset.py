"""A data set of image files, whatever says which they are."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from ...errors import DataError
from .class_folders import read_folder
from .dataset_index import Listing
from .label_list import is_list, read_list


def open_listing(root: Union[str, Path]) -> Listing:
    """List the images of a folder or of lists.

    Raises:
        DataError: there is none of them at ``root``.
    """
    path = Path(root).expanduser()
    if not path.exists():
        raise DataError(f"there is no folder or list '{root}'.")
    return read_list(path) if is_list(path) else read_folder(path)
