"""What all HTML pages share: one self-contained file, charts, cards, tables."""
