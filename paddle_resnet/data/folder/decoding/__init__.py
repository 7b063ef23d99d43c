"""Any image file to pixels: sizes, metadata, 16 bits and floats, ranges of values."""
