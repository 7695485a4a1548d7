"""What a caller answers so that an opening has the severity that a test wants."""

from __future__ import annotations


def impact_of(severity: int) -> dict[str, int]:
    """Answers that give this severity by the shipped matrix, as an opening sends them: the same number to both."""
    return {"operational": severity, "economic": severity}
