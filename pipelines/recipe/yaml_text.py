"""Read YAML from a stranger: plain values alone, each key once, and no document that grows beyond its text."""

from __future__ import annotations

import warnings
from typing import Any

from faceloom.schemas.errors import RecipeError
from faceloom.schemas.plain_values import MOST_DEPTH, MOST_DIGITS, shown, step

MOST_BYTES = 256 * 1024
"""Length of a document. A recipe with a hundred masks takes a tenth of it."""
MOST_VALUES = 10_000
"""Values of a document once every alias is replaced by what it stands for."""

_TAG = "tag:yaml.org,2002:"
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "empty",
    "map": "a mapping",
    "seq": "a list",
}
"""The tags that are read."""
_FLAT = f"Use at most {MOST_DEPTH} levels"
_CUT = f"Use at most {MOST_VALUES:,} values"


def parse_yaml(data: bytes) -> Any:
    """The content of a YAML 1.2 document: mappings, lists, text, numbers, booleans and None.

    Args:
        data: UTF-8, with or without a byte order mark.

    Raises:
        RecipeError: the text is too long, is not YAML, nests too deep, holds other values such as dates, or names a key
            twice. `where` is a line, or the path of a value, such as `$.align.size`; it is empty if the fault has none.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    class _Composer(Composer):
        depth = values = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.depth += 1
            self.values += 1
            if self.depth > MOST_DEPTH or self.values > MOST_VALUES:
                where = f"line {self.parser.peek_event().start_mark.line + 1}"
                if self.depth > MOST_DEPTH:
                    raise RecipeError("the YAML nests too deep", where=where, remedy=_FLAT)
                raise RecipeError("the YAML has too many values", where=where, remedy=_CUT)
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    if len(data) > MOST_BYTES:
        remedy = f"A file has at most {MOST_BYTES:,} bytes"
        raise RecipeError("the YAML file is too long", value=f"{len(data):,} bytes", remedy=remedy)
    text = _text(data)
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of anchors that are used again, and of numbers without a dot
            node = yaml.compose(text)
            if node is None:
                return None
            _Checked(yaml.constructor).check(node, "$")
            return yaml.constructor.construct_document(node)
    except (RecipeError, MemoryError):
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _not_yaml(mark.line + 1 if mark else 0, error.problem) from None
    except ReaderError as error:
        raise _not_yaml(text.count("\n", 0, error.position) + 1, "it holds a control character") from None
    except Exception as error:  # on hostile text the parser raises errors of many kinds
        raise _not_yaml(0, error) from None


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _not_yaml(line, f"the byte {data[error.start]:#04x} is not UTF-8", "Save the file as UTF-8") from None


def _not_yaml(line: int, problem: object, remedy: str = "Correct the text there") -> RecipeError:
    where = f"line {line}" if line else ""
    return RecipeError(f"not valid YAML: {' '.join(str(problem).split())[:200]}", where=where, remedy=remedy)


class _Checked:
    """Checks keys, tags and sizes of nodes before any value is made.

    YAML lets the last of two equal keys win in silence; a recipe with two lists of masks is a mistake.
    """

    def __init__(self, constructor: Any) -> None:
        self._constructor = constructor
        self._known: dict[int, tuple[int, int]] = {}

    def check(self, node: Any, path: str) -> tuple[int, int]:
        """Check a node; returns its number of values and its depth, with all aliases replaced."""
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        if id(node) in self._known:
            if not self._known[id(node)][0]:
                raise RecipeError("an alias stands inside what it repeats", where=path, remedy="Write the value out")
            return self._known[id(node)]
        self._known[id(node)] = 0, 0
        tag = str(node.tag).removeprefix(_TAG)
        if tag not in _KINDS:
            self._refuse(node, tag, path)
        found = []
        if isinstance(node, SequenceNode):
            found = [self.check(item, f"{path}[{number}]") for number, item in enumerate(node.value)]
        elif isinstance(node, MappingNode):
            found = self._check_mapping(node, path)
        elif tag in ("map", "seq"):
            raise RecipeError(f"expected {_KINDS[tag]}", where=path, value=shown(node.value))
        elif tag != "str":
            self._check_number(node, tag, path)
        size, depth = 1 + sum(size for size, _ in found), 1 + max((depth for _, depth in found), default=0)
        if size > MOST_VALUES:
            raise RecipeError("aliases make the YAML too large", where=path, remedy=_CUT)
        if depth > MOST_DEPTH:
            raise RecipeError("aliases nest too deep", where=path, remedy=_FLAT)
        self._known[id(node)] = size, depth
        return size, depth

    def _check_mapping(self, node: Any, path: str) -> list[tuple[int, int]]:
        seen: set[str] = set()
        found = []
        for key, value in node.value:
            line = f"line {key.start_mark.line + 1}"
            tag = str(key.tag).removeprefix(_TAG)
            if not isinstance(key.value, str) or tag not in ("str", "int", "float", "bool", "null", "merge"):
                raise RecipeError("a key must be plain text", where=path, value=line)
            where = f"{path}{step(key.value)}"
            if key.value in seen:
                remedy = f"The second one is in {line}; keep one of them"
                raise RecipeError("this key is given twice", where=where, remedy=remedy)
            seen.add(key.value)
            if tag not in ("str", "merge"):
                self._check_number(key, tag, where)
            found.append(self.check(value, where))
        return found

    def _check_number(self, node: Any, tag: str, path: str) -> None:
        """Try the value of a number, a boolean or nothing alone, where the path of a fault is known."""
        if len(node.value) > MOST_DIGITS:
            remedy = f"A number has at most {MOST_DIGITS} digits"
            raise RecipeError("the number is too long", where=path, value=shown(node.value), remedy=remedy)
        try:
            self._constructor.construct_object(node)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise RecipeError(f"expected {_KINDS[tag]}", where=path, value=shown(node.value)) from None

    @staticmethod
    def _refuse(node: Any, tag: str, path: str) -> None:
        if tag == "timestamp":
            remedy = "If it is text, put it in quotes"
            raise RecipeError("a date is not a value here", where=path, value=shown(node.value), remedy=remedy)
        line = f"line {node.start_mark.line + 1}"
        remedy = f"Remove it; plain values are {', '.join(_KINDS.values())}"
        raise RecipeError(f"the tag {shown(tag)} is not read", where=path, value=line, remedy=remedy)
