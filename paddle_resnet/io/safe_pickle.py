"""Read pickles as data: a small machine that builds containers and stand-ins, and calls nothing.

A pickle is a program for Python's unpickler, and that one imports and calls whatever the program
names. This machine has no import and no call: a name in the file selects an entry of the reader's
own table, and what an entry builds is a stand-in that only remembers. A name that is not in the
table ends the reading, or, where the reader wants it so, stands for nothing but itself.
It also keeps memory and time in proportion to the file, which the unpickler written in C does not
(one LONG_BINPUT makes it reserve gigabytes).
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Mapping
from typing import Any, BinaryIO, Callable, Optional

#: More than any checkpoint of networks such as ours has (ResNet-1202 with Adam: half a million).
MAX_OPCODES = 1_000_000
#: Whole numbers beyond this could be chosen to collide in a dict and make it crawl.
_MAX_INT_KEY = 2**60
#: Of a name in a file; a module and an attribute that are longer are cut.
_MAX_NAME = 200
#: Of the names that a reader does not know, as many are kept for its sentences.
_MOST_UNKNOWN = 1000


class PickleError(ValueError):
    """A pickle that is corrupt, or asks for more than data; the sentence says what."""


class Name:
    """A name the file may use: a marker, or a builder for what the file "calls" under it.

    Args:
        name: as the file spells it, such as ``torch.FloatStorage``.
        build: makes a stand-in from the file's arguments; None for names that are only mentioned.
        is_foreign: whether the reader does not know it.
    """

    __slots__ = ("build", "is_foreign", "name")

    def __init__(
        self,
        name: str,
        build: Optional[Callable[..., Any]] = None,
        is_foreign: bool = False,
    ) -> None:
        self.name = name
        self.build = build
        self.is_foreign = is_foreign


class Stub:
    """A value that the file builds with a state of its own; the base ignores that state."""

    __slots__ = ()

    def set_state(self, state: Any) -> None:
        """Take the argument of a BUILD opcode."""


class Foreign(Stub):
    """Whatever a file builds of a class or function that the reader does not know: inert.

    Args:
        name: of the class or function.
        why: what is wrong with it, where the reader knows the name.
    """

    __slots__ = ("attributes", "entries", "name", "why")

    def __init__(self, name: str, why: str = "") -> None:
        self.name = name
        self.why = why
        #: What the file put into it, where it is a kind of dict.
        self.entries: dict[Any, Any] = {}
        #: Its attributes, where the file sets them by name.
        self.attributes: dict[Any, Any] = {}

    def set_state(self, state: Any) -> None:
        """Remember attributes."""
        if type(state) is dict:
            self.attributes = state


def read(
    file: BinaryIO,
    names: Mapping[str, Optional[Callable[..., Any]]],
    persistent: Optional[Callable[[Any], Any]] = None,
    unknown: Optional[set[str]] = None,
) -> Any:
    """Read one pickle from where ``file`` stands, and leave ``file`` just behind it.

    Args:
        file: the bytes, such as a ``BytesIO`` (whose reads a lying length cannot inflate).
        names: what the pickle may name, ``"module.name"`` to a builder or None, see `Name`.
        persistent: makes the value of a persistent id (torch's storages); None: there are none.
        unknown: takes the names that are not in ``names``, printable and not endless; what the
            file builds with them is `Foreign`. None: such a name is an error.

    Returns:
        The pickled object, made of dict, list, tuple, str, bytes, int, float, bool, None, and
        whatever ``names`` and ``persistent`` build; Python 2's ``str`` comes as bytes, a set as a
        list, and a dict's key of another type as a `Foreign`. Containers may be nested without end:
        do not walk them, nor print them.

    Raises:
        PickleError: the pickle is corrupt, uses a name that is not in ``names``, or needs an
            operation that data does not need. Nothing of what it asks for has been run.
    """
    machine = _Machine(names, persistent, unknown)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > MAX_OPCODES:
                raise PickleError(f"it has more than {MAX_OPCODES:,} steps: no checkpoint needs it")
            if opcode.name == "STOP":
                return machine.stack.pop()
            getattr(machine, opcode.name, machine.refuse(opcode.name))(argument)
    except PickleError:
        raise
    # Corrupt bytes can raise nearly anything, from IndexError (empty stack) to MemoryError.
    except Exception as error:
        reason = f"{type(error).__name__}: {_shown(str(error))}"
        raise PickleError(f"its pickle is corrupt ({reason})") from None
    raise PickleError("its pickle is corrupt (no end)")


class _Machine:
    """One method per opcode of the pickle protocol, under its name in ``pickletools``."""

    def __init__(
        self,
        names: Mapping[str, Optional[Callable[..., Any]]],
        persistent: Optional[Callable[[Any], Any]],
        unknown: Optional[set[str]],
    ) -> None:
        self.names = names
        self.persistent = persistent
        self.unknown = unknown
        self.known: dict[str, Name] = {}
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    @staticmethod
    def refuse(opcode: str) -> Callable[[Any], None]:
        def refused(_: Any) -> None:
            raise PickleError(f"it uses the pickle operation {opcode}, which plain data never does")

        return refused

    # Values.

    def constant(self, argument: Any) -> None:
        self.stack.append(argument)

    INT = LONG = LONG1 = LONG4 = BININT = BININT1 = BININT2 = FLOAT = BINFLOAT = constant
    UNICODE = SHORT_BINUNICODE = BINUNICODE = BINUNICODE8 = constant
    SHORT_BINBYTES = BINBYTES = BINBYTES8 = BYTEARRAY8 = constant

    def BINSTRING(self, argument: str) -> None:
        # Python 2's `str` is bytes; pickletools shows it by latin-1.
        self.stack.append(argument.encode("latin-1"))

    STRING = SHORT_BINSTRING = BINSTRING

    def NONE(self, _: Any) -> None:
        self.stack.append(None)

    def NEWTRUE(self, _: Any) -> None:
        self.stack.append(True)

    def NEWFALSE(self, _: Any) -> None:
        self.stack.append(False)

    # Containers. A set becomes a list: nothing here needs one, and a list has no hashes to abuse.

    def MARK(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def EMPTY_LIST(self, _: Any) -> None:
        self.stack.append([])

    EMPTY_SET = EMPTY_LIST

    def EMPTY_TUPLE(self, _: Any) -> None:
        self.stack.append(())

    def EMPTY_DICT(self, _: Any) -> None:
        self.stack.append({})

    def LIST(self, _: Any) -> None:
        items = self.since_mark()
        self.stack.append(items)

    FROZENSET = LIST

    def TUPLE(self, _: Any) -> None:
        items = self.since_mark()
        self.stack.append(tuple(items))

    def TUPLE1(self, _: Any) -> None:
        self.stack[-1:] = [(self.stack[-1],)]

    def TUPLE2(self, _: Any) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def TUPLE3(self, _: Any) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def DICT(self, _: Any) -> None:
        items = self.since_mark()
        self.update({}, items)

    def update(self, target: Any, items: list[Any]) -> None:
        entries = target.entries if type(target) is Foreign else _only(dict, target)
        if len(items) % 2:
            raise PickleError("its pickle is corrupt (a key without a value)")
        for key, value in zip(items[::2], items[1::2]):
            small = type(key) is int and abs(key) < _MAX_INT_KEY
            if not (small or type(key) in (str, bytes, bool, type(None))):
                kind = key.name if type(key) in (Name, Foreign) else type(key).__name__
                if self.unknown is None:
                    raise PickleError(f"it has a dict with a key of type {kind}")
                # These objects are compared by identity: no hash can be chosen.
                key = Foreign(kind)
            entries[key] = value
        self.stack.append(target)

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not Foreign:
            _only(list, self.stack[-1]).extend(items)

    def APPEND(self, _: Any) -> None:
        item = self.stack.pop()
        self.extend([item])

    def APPENDS(self, _: Any) -> None:
        items = self.since_mark()
        self.extend(items)

    ADDITEMS = APPENDS

    def SETITEM(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update(self.stack.pop(), [key, value])

    def SETITEMS(self, _: Any) -> None:
        items = self.since_mark()
        self.update(self.stack.pop(), items)

    # The stack and the memo.

    def POP(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def POP_MARK(self, _: Any) -> None:
        self.since_mark()

    def DUP(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def MEMOIZE(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def PUT(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    BINPUT = LONG_BINPUT = PUT

    def GET(self, index: int) -> None:
        self.stack.append(self.memo[index])

    BINGET = LONG_BINGET = GET

    def PROTO(self, version: int) -> None:
        if version > pickle.HIGHEST_PROTOCOL:
            raise PickleError(f"its pickle protocol {version} is newer than this Python")

    def FRAME(self, _: Any) -> None:
        pass

    # Names and what is built under them.

    def lookup(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise PickleError("it asks for something that has no name")
        # One flat table: no import, no attribute access, so a dotted name leads nowhere.
        full = f"{module[:_MAX_NAME]}.{name[:_MAX_NAME]}"
        if full not in self.known:
            self.known[full] = self.named(full)
        self.stack.append(self.known[full])

    def named(self, full: str) -> Name:
        if full in self.names:
            return Name(full, self.names[full])
        if self.unknown is None:
            raise PickleError(f"it asks for {_shown(full)}, which is no part of an array")
        shown = _shown(full)
        if len(self.unknown) < _MOST_UNKNOWN:
            self.unknown.add(shown)
        return Name(shown, is_foreign=True)

    def GLOBAL(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.lookup(module, name)

    def STACK_GLOBAL(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.lookup(module, name)

    def REDUCE(self, _: Any) -> None:
        arguments, known = self.stack.pop(), self.stack.pop()
        self.stack.append(self.built(known, _only(tuple, arguments)))

    NEWOBJ = REDUCE

    def built(self, known: Any, arguments: tuple[Any, ...]) -> Any:
        lenient = self.unknown is not None
        if lenient and type(known) is Foreign:  # what a foreign function returned
            return Foreign(known.name)
        if lenient and type(known) is Name and known.build is None:
            return Foreign(known.name)
        if type(known) is not Name or known.build is None:
            what = known.name if type(known) is Name else type(known).__name__
            raise PickleError(f"it calls {what}, which is not for calling")
        try:
            return known.build(*arguments)
        except (PickleError, TypeError, ValueError) as error:
            if not lenient:
                raise
            return Foreign(known.name, str(error))

    def foreign(self, known: Any, opcode: str) -> None:
        """Build in a way in which only classes are built that the reader does not know."""
        if type(known) is not Name or not known.is_foreign:
            self.refuse(opcode)(None)
        self.stack.append(Foreign(known.name))

    def NEWOBJ_EX(self, _: Any) -> None:
        del self.stack[-2:]
        self.foreign(self.stack.pop(), "NEWOBJ_EX")

    def INST(self, argument: str) -> None:
        self.since_mark()
        self.GLOBAL(argument)  # in its sentence it says what is asked for
        self.foreign(self.stack.pop(), "INST")

    def OBJ(self, _: Any) -> None:
        self.foreign(self.since_mark()[0], "OBJ")

    def BUILD(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Stub):
            target.set_state(state)
        # An OrderedDict may carry attributes, such as the version numbers torch adds: no data.
        elif type(target) is not dict:
            what = f"class {target.name}" if type(target) is Name else type(target).__name__
            raise PickleError(f"it sets the state of a {what}")

    def BINPERSID(self, _: Any) -> None:
        identity = self.stack.pop()
        if self.persistent is None:
            raise PickleError("it refers to data outside itself")
        self.stack.append(self.persistent(identity))


def _only(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise PickleError(f"its pickle is corrupt (a {type(value).__name__}, not {kind.__name__})")
    return value


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:80])
