"""Read YAML from a stranger: plain values alone, each key once, and no document that grows beyond its text."""

from __future__ import annotations

import warnings
from typing import Any

from faceloom.schemas.errors import RecipeError

MOST_BYTES = 256 * 1024
"""Length of a document. A recipe with a hundred masks takes a tenth of it."""
MOST_DEPTH = 50
"""Lists and mappings inside each other."""
MOST_VALUES = 50_000
"""Values of a document once every alias is replaced by what it stands for."""


def parse_yaml(data: bytes) -> Any:
    """The content of a YAML 1.2 document: mappings, lists, text, numbers, booleans, dates and None.

    Args:
        data: UTF-8.

    Raises:
        RecipeError: the text is too long, is not YAML, nests too deep, or names a key twice. For a key `where` is its
            path, such as `$.align.size`; it is empty otherwise.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    class _Composer(Composer):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise RecipeError("the YAML nests too deep", remedy=f"Use at most {MOST_DEPTH} levels")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    if len(data) > MOST_BYTES:
        remedy = f"A file has at most {MOST_BYTES} bytes"
        raise RecipeError("the YAML file is too long", value=f"{len(data)} bytes", remedy=remedy)
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        text = data.decode("utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of anchors that are used again, and of numbers without a dot
            node = yaml.compose(text)
            if node is None:
                return None
            _check(node, "$", {})
            return yaml.constructor.construct_document(node)
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise RecipeError("not valid YAML", value=f"{line}{error.problem}") from None
    except (YAMLError, ValueError, KeyError, AttributeError, TypeError) as error:  # tags that do not fit their value
        raise RecipeError("not valid YAML", value=" ".join(str(error).split())) from None


def _check(node: Any, path: str, sizes: dict[int, int]) -> int:
    """Check the keys of a node and its size with all aliases replaced, which is returned.

    YAML lets the last of two equal keys win in silence; a recipe with two lists of masks is a mistake.
    """
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    if id(node) in sizes:
        if not sizes[id(node)]:
            raise RecipeError("an alias stands inside what it repeats", where=path)
        return sizes[id(node)]
    sizes[id(node)] = 0
    size = 1
    if isinstance(node, SequenceNode):
        for number, item in enumerate(node.value):
            size += _check(item, f"{path}[{number}]", sizes)
    elif isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = f"line {key.start_mark.line + 1}"
            if not isinstance(key.value, str):
                raise RecipeError("a key must be plain text", where=path, value=line)
            where = f"{path}.{key.value}"
            if key.value in seen:
                remedy = f"The second one is in {line}; keep one of them"
                raise RecipeError("this key is given twice", where=where, remedy=remedy)
            seen.add(key.value)
            size += _check(value, where, sizes)
    if size > MOST_VALUES:
        raise RecipeError("aliases make the YAML too large", where=path, remedy=f"Use at most {MOST_VALUES} values")
    sizes[id(node)] = size
    return size
