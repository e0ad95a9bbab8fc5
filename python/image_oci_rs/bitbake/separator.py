r"""The separator of sloci-image, the older tool of image-oci.bbclass: `\@\` between two words of a list.

Recipes for it write `-iwad\\@\\/usr/share/game.wad`, because a shell takes away one backslash of two. Read as a shell
reads it, the whole would be one word with an `@` in it, which no recipe means. Inside quotes it is text like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..parsing import split_words

_PIECE = re.compile(r"""(?P<separator>\\{1,2}@\\{1,2})|'[^']*'|"(?:[^"\\]|\\.)*"|\\.|.""", re.DOTALL)


def blanks_for_separators(text: str) -> str:
    """The text with a blank for every separator."""
    return " ".join(_pieces(text))


def arguments_of(text: str) -> tuple[str, ...]:
    """The words of OCI_IMAGE_ENTRYPOINT_ARGS.

    sloci-image gets this variable as one text: where there are separators, blanks do not separate words.

    Raises:
        SpecError: A quote is not closed, or a backslash ends the text.
    """
    pieces = list(_pieces(text))
    if len(pieces) == 1:
        return split_words(text)
    # A separator in front of everything is ignored, as sloci-image does.
    return tuple(" ".join(split_words(piece)) for piece in (pieces if pieces[0].strip() else pieces[1:]))


def _pieces(text: str) -> Iterator[str]:
    """The text between separators that are outside of quotes."""
    start = 0
    for match in _PIECE.finditer(text):
        if match["separator"]:
            yield text[start : match.start()]
            start = match.end()
    yield text[start:]
