"""Advice about errors of the engine, whose own sentences give none."""

from __future__ import annotations

# A part of the engine's sentence, and the advice.
_REMEDIES = (
    (
        "a name that begins with .wh.",
        "Remove the .wh. file, and delete the file that it is for in IMAGE_ROOTFS: that is enough, because every layer"
        ' is made of IMAGE_ROOTFS. To delete a file of the base image too, set OCI_BASE_MODE = "exact".',
    ),
)


def with_remedy(sentence: str) -> str:
    """The sentence, followed by advice if there is any for it."""
    return next((f"{sentence}. {advice}" for part, advice in _REMEDIES if part in sentence), sentence)
