"""YAML of recipes as nested values: plain data only, and texts exactly as they were typed.

YAML makes a number of ``2024``, a date of ``2024-05-01``, a bool of ``NO`` and an error of ``@x``.
All of these can be names of folders, so the keys whose value is a text take the source's
characters. The one exception is ``null`` for a key that may be absent; ``"null"`` in quotes is the
text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

import yaml

from ..errors import ConfigError, for_display

#: Keys such as ``data.root`` that hold a text, and whether they may hold none.
TextKeys = Mapping[str, bool]

_ALIAS = "!alias"


class _Loader(yaml.SafeLoader):
    """YAML without its traps.

    Doubled keys are errors, aliases (which can multiply) are not expanded, ``1e-4`` is a number,
    and of YAML 1.1 neither octal ``010``, nor ``1:30`` in base 60, nor dates are read.
    """

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            return yaml.ScalarNode(_ALIAS, "*" + event.anchor, event.start_mark, event.end_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a plain word", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' stands there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _refuse_alias(_: Any, node: yaml.Node) -> None:
    raise yaml.constructor.ConstructorError(
        None, None, "aliases are not supported", node.start_mark
    )


_Loader.add_constructor(_ALIAS, _refuse_alias)
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if not tag.endswith((":int", ":float", ":timestamp"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?([0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?"
        r"|\.(inf|Inf|INF))$|^\.(nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


class _Dumper(yaml.SafeDumper):
    """Texts that hold line breaks of Unicode in quotes, where PyYAML reads them back as blanks."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def dump_recipe(values: Mapping[str, Any]) -> str:
    """Return nested values as YAML, in their order; any YAML reader finds the same texts."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def parse_recipe(source: str, origin: str, texts: TextKeys) -> Any:
    """Return the values of a recipe's source.

    Args:
        source: YAML.
        origin: what to call it in an error.
        texts: see `TextKeys`.

    Raises:
        ConfigError: it is no YAML, or uses what recipes do not need.
    """
    names = {key.rpartition(".")[2] for key in texts}
    quoted: set[int] = set()
    while True:
        try:
            return _construct(source, texts, "")
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            # Maybe a text that YAML cannot read as it stands, such as `@x`, `a: b` or `[a] b`.
            lines = source.split("\n")
            place = next((n for n in _lines_of(error, quoted) if _quote(lines, n, names)), None)
            if place is None:
                raise _refusal(error, origin) from None
            quoted.add(place)
            source = "\n".join(lines)


def parse_override(key: str, source: str, origin: str, texts: TextKeys) -> Any:
    """Return the value of ``key=source``; the arguments are those of `parse_recipe`.

    Raises:
        ConfigError: see `parse_recipe`.
    """
    if key in texts:
        return _typed(source, texts[key])
    try:
        return _construct(source, texts, key + ".") if source else ""
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _refusal(error, origin) from None


def _typed(source: str, may_be_absent: bool) -> Optional[str]:
    """Return what stands behind the equals sign; quotes around all of it are taken off."""
    if may_be_absent and source == "null":
        return None
    if len(source) > 1 and source[0] == source[-1] and source[0] in "\"'":
        try:
            node = yaml.compose(source, Loader=_Loader)
        except (yaml.YAMLError, ValueError):
            return source
        if isinstance(node, yaml.ScalarNode):
            return node.value
    return source


def _construct(source: str, texts: TextKeys, prefix: str) -> Any:
    loader = _Loader(source)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _keep_texts(node, source, texts, prefix)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _keep_texts(node: yaml.Node, source: str, texts: TextKeys, prefix: str) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for index, (key, value) in enumerate(node.value):
        name = prefix + str(key.value)
        if name in texts:
            node.value[index] = (key, _as_text(value, source, texts[name]))
        elif not prefix:
            _keep_texts(value, source, texts, f"{name}.")


def _as_text(node: yaml.Node, source: str, may_be_absent: bool) -> yaml.Node:
    """Return the node as one of text, or as it is where it holds nothing or whole lines of keys."""
    given = source[node.start_mark.index : node.end_mark.index]
    if not isinstance(node, yaml.ScalarNode):
        if not node.flow_style:
            return node
        text = given
    elif node.style is None and given[:1] in ("&", "!"):
        text = given
    elif node.style is None and (not node.value or (may_be_absent and node.value == "null")):
        return node
    else:
        text = node.value
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, node.start_mark, node.end_mark, "'")


def _lines_of(error: Exception, without: set[int]) -> Iterator[int]:
    """Yield the indices of the lines that an error of YAML may be about."""
    for name in ("problem_mark", "context_mark"):
        mark = getattr(error, name, None)
        if mark is not None and mark.line not in without:
            yield mark.line


def _quote(lines: list[str], place: int, names: set[str]) -> bool:
    """Put the value in one line into quotes, where the line's key is among ``names``."""
    if place >= len(lines):
        return False
    match = re.fullmatch(r"(\s+)(\w+)(\s*:\s+)(\S.*?)(\s+#.*|\s*)", lines[place])
    if match is None or match[2] not in names:
        return False
    value = match[4].replace("'", "''")
    lines[place] = f"{match[1]}{match[2]}{match[3]}'{value}'{match[5]}"
    return True


def _refusal(error: Exception, origin: str) -> ConfigError:
    reason = for_display(" ".join(str(getattr(error, "problem", None) or error).split()), 200)
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}" if mark else ""
    return ConfigError(f"{origin} is no valid YAML{where}: {reason}.")
