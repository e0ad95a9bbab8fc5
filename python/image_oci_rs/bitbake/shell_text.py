"""Shell code as a list of simple commands, for a look at what a recipe's functions call.

It knows quotes, comments, here-documents, subshells and command substitutions. It expands nothing, and takes BitBake's
${@...} for text. Code that no shell would accept gives some commands, and no error.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

# Words in front of a command.
_PREFIXES = frozenset(
    "! { if then else elif while until do time exec eval command env sudo fakeroot nice nohup timeout xargs".split()
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
# Options and numbers of such a word, as in `timeout -k 5 60 COMMAND`.
_OPTION = re.compile(r"-.*|[0-9]+[smh]?", re.DOTALL)
_HERE_DOCUMENT = re.compile(r"<<(-?)[ \t]*(['\"]?)([^\s'\";&|<>()]+)\2")


@dataclass(frozen=True)
class Command:
    """A simple command.

    Attributes:
        words: All its words without quotes: assignments and keywords in front too.
        files: Where its input comes from and its output goes to.
        name: The last component of the program or function that is called; empty if it only assigns.
        arguments: The words after the name.
    """

    words: tuple[str, ...]
    files: tuple[str, ...]
    name: str
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, words: list[str], files: list[str]) -> Command:
        """Finds the name among the words."""
        after_prefix = False
        for index, word in enumerate(words):
            if word in _PREFIXES:
                after_prefix = True
            elif not _ASSIGNMENT.fullmatch(word) and not (after_prefix and _OPTION.fullmatch(word)):
                return cls(tuple(words), tuple(files), os.path.basename(word), tuple(words[index + 1 :]))
        return cls(tuple(words), tuple(files), "", ())


def commands(text: str) -> list[Command]:
    """The simple commands in shell code, those in command substitutions too."""
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.found


@dataclass
class _Scanner:
    text: str
    position: int = 0
    found: list[Command] = field(default_factory=list)
    here_documents: list[tuple[str, bool]] = field(default_factory=list)

    def scan(self, end: str = "") -> None:
        """Reads commands up to a character, or to the end of the text."""
        words: list[str] = []
        files: list[str] = []
        word: str | None = None
        target = words
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == end:
                break
            if character == "#" and word is None:
                self._skip_to("\n")
            elif character not in " \t<>\n;&|()":
                word = (word or "") + self._piece(character)
            else:
                if word is not None:
                    target.append(word)
                    word, target = None, words
                if character in "<>":
                    target = words if character == "<" and self._begin_here_document() else files
                elif character == "(" and re.match(r"[ \t]*\)", self.text[self.position :]):
                    # The head of a function.
                    words.clear()
                elif character not in " \t":
                    self._add(words, files)
                    words, files = [], []
                    target = words
                    if character == "\n":
                        self._skip_here_documents()
                    elif character == "(":
                        self.scan(")")
        if word is not None:
            target.append(word)
        self._add(words, files)

    def _add(self, words: list[str], files: list[str]) -> None:
        if words or files:
            self.found.append(Command.of(words, files))

    def _piece(self, character: str) -> str:
        """The part of a word that starts with a character, without quotes; the character has been read."""
        if character == "\\":
            self.position += 1
            return self.text[self.position - 1 : self.position].strip("\n")
        if character == "'":
            return self._skip_to("'")
        if character == '"':
            return self._double_quoted()
        if character == "`":
            _Scanner(self._skip_to("`"), found=self.found).scan()
            return "`"
        if character == "$" and self.text.startswith("(", self.position):
            self.position += 1
            self.scan(")")
            return "$()"
        if character == "$" and self.text.startswith("{", self.position):
            return "$" + self._braces()
        return character

    def _double_quoted(self) -> str:
        pieces = []
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == '"':
                break
            pieces.append(character if character in "'#" else self._piece(character))
        return "".join(pieces)

    def _braces(self) -> str:
        start, depth = self.position, 0
        while self.position < len(self.text):
            depth += {"{": 1, "}": -1}.get(self.text[self.position], 0)
            self.position += 1
            if depth == 0:
                break
        return self.text[start : self.position]

    def _skip_to(self, end: str) -> str:
        """The text in front of a character, which is read too unless it ends a line."""
        start = self.position
        found = self.text.find(end, start)
        stop = len(self.text) if found < 0 else found
        self.position = stop if end == "\n" else stop + 1
        return self.text[start:stop]

    def _begin_here_document(self) -> bool:
        match = _HERE_DOCUMENT.match(self.text, self.position - 1)
        if match is None or self.text.startswith("<<<", self.position - 1):
            return False
        self.here_documents.append((match[3], bool(match[1])))
        self.position = match.end()
        return True

    def _skip_here_documents(self) -> None:
        for delimiter, indented in self.here_documents:
            while self.position < len(self.text):
                line = self._skip_to("\n")
                self.position += 1
                if (line.lstrip("\t") if indented else line) == delimiter:
                    break
        self.here_documents.clear()
