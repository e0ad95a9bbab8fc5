"""What to do about an error of the engine, whose own sentences give no advice."""

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
    """The sentence, and behind it what to do, where that is known."""
    return next((f"{sentence}. {advice}" for part, advice in _REMEDIES if part in sentence), sentence)
