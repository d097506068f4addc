"""Evaluate the pickle in a PyTorch file without PyTorch, and without running code of the file.

A pickle is a program for a stack machine that can import and call any function. This machine never
imports or calls anything: a class or function of the file is only its name, an object only its
items and its state. Functions that rebuild tensors are known by name.
"""
import pickletools
from typing import NamedTuple

_MAX_OPERATIONS = 2_000_000   # of one pickle. Networks with optimizers have below 100,000


class Global(NamedTuple):
    """The name of a class or function."""
    module: str
    name: str


class Instance(dict):
    """An object of any class: the items and the state that the file gives it."""
    __slots__ = ('state',)

    def __init__(self):
        super().__init__()
        self.state = None


class Storage(NamedTuple):
    """Values in the file that tensors share."""
    type_name: str     # such as 'FloatStorage'
    key: str           # name in the file
    offset: int        # of its first element
    num_elements: int


class Tensor(NamedTuple):
    """A view of a storage. Nothing has been checked."""
    storage: object
    offset: object     # of its first element in the storage
    shape: object
    strides: object    # in elements


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return Tensor(storage, offset, shape, strides)


def _first_argument(value, *_):
    return value


_REBUILD_FUNCTIONS = {
    Global('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
    Global('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
    Global('torch._utils', '_rebuild_parameter'): _first_argument,
    Global('torch._utils', '_rebuild_parameter_with_state'): _first_argument}
_REBUILD_SUBCLASS = Global('torch._tensor', '_rebuild_from_type_v2')
_ORDERED_DICT = Global('collections', 'OrderedDict')


class _Machine:
    """The stack machine. Every method that is named in `_OPERATIONS` runs an operation."""

    def __init__(self):
        self.stack, self.memo, self.storages = [], {}, {}
        self._outer_stacks = []
        self._num_copied_items = 0

    def mark(self, _):
        self._outer_stacks.append(self.stack)
        self.stack = []

    def pop_mark(self, _=None):
        items, self.stack = self.stack, self._outer_stacks.pop()
        return items

    def pop(self, _):
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def push(self, value):
        self.stack.append(value)

    def push_tuple(self, length):
        items = tuple(self.stack[-length:])
        if len(items) != length:
            raise ValueError('a tuple has too few items')
        self.stack[-length:] = [items]

    def push_marked(self, make):
        self.push(make(self.pop_mark()))

    def put(self, index):
        self.memo[index] = self.stack[-1]

    def push_global(self, argument):
        self.push(Global(*argument.split(' ', 1)))

    def push_stack_global(self, _):
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):   # must be hashable
            raise ValueError('a class has an invalid name')
        self.push(Global(module, name))

    def extend(self, items):
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def push_dict(self, _):
        items = self.pop_mark()
        self.push({})
        self.set_items(items)

    def set_items(self, items):
        if not isinstance(self.stack[-1], dict):
            return
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, str):   # no other key names a tensor
                self.stack[-1][key] = value

    def append(self, _):
        self.extend([self.stack.pop()])

    def set_item(self, _):
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def reduce(self, _):
        arguments, function = self.stack.pop(), self.stack.pop()
        if function == _REBUILD_SUBCLASS:   # its arguments: function, class, arguments, state
            function, _, arguments, *_ = arguments
        if not isinstance(arguments, tuple) or not isinstance(function, Global):
            raise ValueError('a call has invalid arguments')
        if function in _REBUILD_FUNCTIONS:
            self.push(_REBUILD_FUNCTIONS[function](*arguments))
        else:
            self.push(Instance())
            if function == _ORDERED_DICT and arguments:   # written by Python 2: a list of pairs
                self._set_pairs(arguments[0])

    def _set_pairs(self, pairs):
        """Set the items of the object on the stack. One list may be the argument of many calls."""
        self._num_copied_items += len(pairs)
        if self._num_copied_items > _MAX_OPERATIONS:
            raise ValueError('its objects are too large')
        for key, value in pairs:
            self.set_items([key, value])

    def new_object(self, num_arguments):
        del self.stack[-num_arguments:]
        self.push(Instance())

    def build(self, _):
        state = self.stack.pop()
        if isinstance(self.stack[-1], Instance):
            self.stack[-1].state = state

    def push_storage(self, _):
        """Push the `Storage` of ('storage', type, key, device, number of elements[, view]).

        The format before PyTorch 1.6 also has ('module', class, source file, source code).
        """
        label, type_name, *fields = self.stack.pop()
        if label == 'module':
            self.push(type_name)
            return
        key, _, num_elements, *view = fields
        if (label != 'storage' or not isinstance(type_name, Global) or not isinstance(key, str)
                or type(num_elements) is not int):
            raise ValueError('a storage has an invalid name')
        storage = Storage(type_name.name, key, 0, num_elements)
        self.storages[key] = storage
        if view and view[0] is not None:   # (key of the view, offset, size), before PyTorch 0.4
            _, offset, view_size = view[0]
            storage = storage._replace(offset=offset, num_elements=view_size)
        self.push(storage)


def _operations():
    """Return {name of an operation in `pickletools`: function (machine, argument)}."""
    operations = dict.fromkeys(('PROTO', 'FRAME', 'STOP'), lambda *_: None)
    for name in ('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT',
                 'BINFLOAT', 'STRING', 'BINSTRING', 'SHORT_BINSTRING', 'UNICODE', 'BINUNICODE',
                 'SHORT_BINUNICODE', 'BINUNICODE8', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8',
                 'BYTEARRAY8', 'NONE'):
        operations[name] = _Machine.push
    for name, make in {'NEWTRUE': lambda: True, 'NEWFALSE': lambda: False, 'EMPTY_LIST': list,
                       'EMPTY_TUPLE': tuple, 'EMPTY_DICT': dict, 'EMPTY_SET': Instance,
                       'EXT1': Instance, 'EXT2': Instance, 'EXT4': Instance}.items():
        operations[name] = lambda machine, _, make=make: machine.push(make())
    for name, make in {'LIST': list, 'TUPLE': tuple, 'OBJ': lambda _: Instance(),
                       'INST': lambda _: Instance(), 'FROZENSET': lambda _: Instance()}.items():
        operations[name] = lambda machine, _, make=make: machine.push_marked(make)
    for length, name in enumerate(('TUPLE1', 'TUPLE2', 'TUPLE3'), 1):
        operations[name] = lambda machine, _, length=length: machine.push_tuple(length)
    for name in ('PUT', 'BINPUT', 'LONG_BINPUT'):
        operations[name] = _Machine.put
    for name in ('GET', 'BINGET', 'LONG_BINGET'):
        operations[name] = lambda machine, index: machine.push(machine.memo[index])
    return operations | {
        'MARK': _Machine.mark, 'POP': _Machine.pop, 'POP_MARK': _Machine.pop_mark,
        'ADDITEMS': _Machine.pop_mark, 'GLOBAL': _Machine.push_global,
        'STACK_GLOBAL': _Machine.push_stack_global, 'APPEND': _Machine.append,
        'APPENDS': lambda machine, _: machine.extend(machine.pop_mark()),
        'DICT': _Machine.push_dict, 'SETITEM': _Machine.set_item,
        'SETITEMS': lambda machine, _: machine.set_items(machine.pop_mark()),
        'REDUCE': _Machine.reduce, 'BUILD': _Machine.build,
        'BINPERSID': _Machine.push_storage,
        'NEWOBJ': lambda machine, _: machine.new_object(2),
        'NEWOBJ_EX': lambda machine, _: machine.new_object(3),
        'DUP': lambda machine, _: machine.push(machine.stack[-1]),
        'MEMOIZE': lambda machine, _: machine.put(len(machine.memo))}


_OPERATIONS = _operations()


def load(file):
    """Evaluate the pickle at the position of a file.

    Args:
        file: a binary file; its position is behind the pickle then.

    Returns:
        The value (numbers, str, list, tuple, dict, `Instance`, `Tensor`, `Storage`, `Global`), and
        a dict of all storages: key -> `Storage` of the whole storage.

    Raises:
        Exception: Of any type, if the pickle is damaged or uses operations that PyTorch does not.
    """
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count == _MAX_OPERATIONS:
            raise ValueError(f'its pickle has more than {_MAX_OPERATIONS:,} operations')
        if opcode.name not in _OPERATIONS:
            raise ValueError(f'its pickle has an operation {opcode.name}')
        _OPERATIONS[opcode.name](machine, argument)
    return machine.stack.pop(), machine.storages
