"""Report of a loading: what was matched, skipped and changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional


@dataclass
class LoadReport:
    """Result of a loading; ``print(report)`` shows it.

    Names in ``matched`` and ``missing`` are the network's, in ``skipped`` the file's.
    """

    source: str
    #: ``safetensors``, ``paddle`` or ``torch``.
    format: str
    #: The framework whose conventions the weights follow: ``paddle``, ``torch`` or None (unknown).
    origin: Optional[str] = None
    #: Loaded: the network's name to the file's.
    matched: dict[str, str] = field(default_factory=dict)
    #: Left out: the file's name to the reason.
    skipped: dict[str, str] = field(default_factory=dict)
    #: Arrays of the network that kept their values.
    missing: list[str] = field(default_factory=list)
    #: Changes of values: casts, another layout of the first convolution.
    notes: list[str] = field(default_factory=list)

    @property
    def renamed(self) -> dict[str, str]:
        """The entries of ``matched`` whose two names differ."""
        return {own: name for own, name in self.matched.items() if own != name}

    def __str__(self) -> str:
        total = len(self.matched) + len(self.missing)
        origin = f" with {self.origin}'s conventions" if self.origin else ""
        lines = [
            f"'{self.source}' ({self.format} file{origin}): "
            f"{len(self.matched)} of the network's {total} arrays loaded"
        ]
        if self.renamed:
            own, name = next(iter(self.renamed.items()))
            lines.append(f"  renamed  {len(self.renamed)}, such as {name} -> {own}")
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.skipped.items():
            by_reason.setdefault(reason, []).append(name)
        lines += [f"  skipped  {_some(names)}: {why}" for why, names in by_reason.items()]
        if self.missing:
            lines.append(f"  kept     {_some(self.missing)}: nothing in the file fits")
        lines += [f"  note     {note}" for note in self.notes]
        return "\n".join(lines)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
