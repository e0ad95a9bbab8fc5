"""The strings and names in Python code, for a look at what a recipe's functions do."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

# Functions whose text is only shown.
_SHOWING = frozenset("debug error fatal info note plain print verbnote warn warning warnonce".split())


@dataclass
class PythonText:
    """Strings, commands and names in Python code.

    Attributes:
        strings: All strings but docstrings and logged text. {} stands for an expression in an f-string.
        commands: Lists that start with a string, as subprocess takes them.
        names: All variables and functions.
    """

    strings: list[str] = field(default_factory=list)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, code: str) -> PythonText:
        """Reads the body of a function as BitBake keeps it, or a definition. BitBake reports code that is no Python."""
        visitor = _Visitor()
        try:
            tree = ast.parse(code if code.startswith("def ") else f"def function(d):\n{code}")
        except (SyntaxError, ValueError):
            return visitor.text
        visitor.visit(tree)
        return visitor.text


class _Visitor(ast.NodeVisitor):
    def __init__(self) -> None:
        self.text = PythonText()

    def visit_Expr(self, node: ast.Expr) -> None:
        # A constant alone is a docstring, or a comment of several lines.
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name not in _SHOWING:
            self.generic_visit(node)
            return
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            for part in ast.walk(argument):
                if isinstance(part, ast.Call):
                    self.visit(part)

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_Name(self, node: ast.Name) -> None:
        self.text.names.add(node.id)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.text.strings.append(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = [value.value if isinstance(value, ast.Constant) else "{}" for value in node.values]
        self.text.strings.append("".join(map(str, parts)))
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                self.visit(value.value)

    def visit_List(self, node: ast.List | ast.Tuple) -> None:
        words = [value.value if isinstance(value, ast.Constant) else "" for value in node.elts]
        if words and isinstance(words[0], str) and words[0]:
            self.text.commands.append(tuple(map(str, words)))
        self.generic_visit(node)

    visit_Tuple = visit_List
