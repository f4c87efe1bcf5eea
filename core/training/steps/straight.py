"""Networks that are a straight chain of layers, found in their source: nothing in their forward decides or counts.

Tracing would not tell: it freezes what a forward decides anew in each call. Here, a forward that has anything but calls
of layers one after another is no chain.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as torch_module

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
MODULE_S_OWN = frozenset(vars(nn.Module()))
"""Names of what torch itself keeps of a module."""
_MAY_DIFFER = frozenset(dir(type("", (), {}))) - {"__getattribute__", "__setattr__", "__delattr__", "__new__"} | {
    *("__init__", "__annotations__", "__firstlineno__", "__static_attributes__", "forward", "extra_repr"),
}
"""Names of `nn.Module` that a class of one's own may have too, and still be called and trained as usual."""
_Value = tuple[tuple[nn.Module, ...], ...]
"""The calls that led to a value, each with its layers."""
_REST: dict[type[nn.Module], str] = {nn.ReLU: "", nn.Flatten: "1"}
"""What a function must be given beside the tensor to be that layer."""
_FUNCTIONS: dict[Callable[..., Any] | None, type[nn.Module]] = {
    torch.relu: nn.ReLU,
    functional.relu: nn.ReLU,
    torch.flatten: nn.Flatten,
}


class _NoChain(Exception):
    """A network is, or may be, something else than a chain of layers."""


def chain_of(network: nn.Module) -> list[nn.Module] | None:
    """Return the layers that a network calls one after another; None if it is, or may be, more than such a chain.

    What it calls as a function (`torch.relu`, `x.flatten(1)`) is returned as the layer that does the same.
    """
    try:
        return _layers(network)
    except _NoChain:
        return None


def _layers(network: nn.Module) -> list[nn.Module]:
    kind = type(network)
    if any(getattr(network, name, None) for name in _HOOKS) or _is_changed(network):
        raise _NoChain
    if kind.__module__.startswith("torch.nn.") and kind is not nn.Sequential:
        if not _is_of_torch(kind, "forward"):
            raise _NoChain
        return [network]
    if kind.forward is nn.Sequential.forward and isinstance(network, nn.Sequential):
        if not _is_of_torch(nn.Sequential, "forward") or getattr(kind, "__iter__", None) is not nn.Sequential.__iter__:
            raise _NoChain
        return [layer for each in network for layer in _layers(each)]
    return _Forward(network).layers()


def _is_changed(network: nn.Module) -> bool:
    """Tell if a module is called, trained or read otherwise than torch's are."""
    kind = type(network)
    own = [each for each in kind.__mro__ if each is not object and not each.__module__.startswith("torch.")]
    redefined = {name for each in own for name in vars(each) if hasattr(nn.Module, name)} - _MAY_DIFFER
    set_on_it = {name for name in vars(network) if name not in MODULE_S_OWN}
    hides = any(hasattr(nn.Module, name) or name in network._modules for name in set_on_it)
    for_all = any(getattr(torch_module, f"_global{name}", None) for name in _HOOKS)
    is_torch_s = all(_is_of_torch(nn.Module, name) for name in ("__call__", "_call_impl", "train"))
    return bool(redefined or hides or for_all or not is_torch_s or type(kind) is not type)


def _is_of_torch(kind: type[nn.Module], name: str) -> bool:
    """Tell if a method of a class of torch's is the one in its file: it can be replaced for all."""
    method = getattr(kind, name)
    return isinstance(method, FunctionType) and method.__code__.co_filename == sys.modules[kind.__module__].__file__


class _Forward:
    """The forward of a class, read from its source."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        forward = type(network).forward
        if not isinstance(forward, FunctionType):
            raise _NoChain
        self._globals = forward.__globals__
        self._definition = _definition(forward)
        self._calls = 0
        self._values: dict[str, _Value] = {}

    def layers(self) -> list[nn.Module]:
        """Return the layers between the forward's argument and what it returns. Raises `_NoChain`."""
        arguments = self._definition.args
        if len(arguments.args) != 2 or arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
            raise _NoChain
        self._self, images = (argument.arg for argument in arguments.args)
        self._values[images] = ()
        *statements, last = self._definition.body
        for statement in statements:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=expression) if name != self._self:
                    self._values[name] = self._value(expression)
                case ast.Expr(value=ast.Constant()):  # a docstring
                    pass
                case _:
                    raise _NoChain
        if not isinstance(last, ast.Return):
            raise _NoChain
        value = self._value(last.value)
        if len(value) != self._calls:  # something was called beside the chain, such as dropout, which draws
            raise _NoChain
        return [layer for layers in value for layer in layers]

    def _value(self, expression: ast.expr | None) -> _Value:
        """Return the calls that lead from the argument to an expression."""
        match expression:
            case ast.Name(id=name) if name in self._values:
                return self._values[name]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=self._self), attr=name), args=[given], keywords=[]):
                return self._called(given, _layers(self._child(name)))
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr=function), args=[given, *rest], keywords=[]
            ) if (
                name not in self._values  # a Python module, such as torch
            ):
                return self._called(given, [self._function(name, function, rest)])
            case ast.Call(func=ast.Attribute(value=given, attr=method), args=arguments, keywords=[]):
                return self._called(given, [self._method(ast.unparse(given), method, arguments)])
        raise _NoChain

    def _called(self, given: ast.expr, layers: list[nn.Module]) -> _Value:
        before = self._value(given)
        self._calls += 1
        return (*before, tuple(layers))

    def _child(self, name: str) -> nn.Module:
        if name not in self._network._modules or hasattr(type(self._network), name):
            raise _NoChain
        child = self._network._modules[name]
        if child is None:
            raise _NoChain
        return child

    def _function(self, module: str, name: str, rest: list[ast.expr]) -> nn.Module:
        """Return the layer that does the same as a function of a Python module."""
        kind = _FUNCTIONS.get(getattr(self._globals.get(module), name, None))
        if kind is None or ", ".join(map(ast.unparse, rest)) != _REST[kind]:
            raise _NoChain
        return kind()

    def _method(self, given: str, method: str, arguments: list[ast.expr]) -> nn.Module:
        """Return the layer that does the same as a method of a tensor."""
        written = ", ".join(map(ast.unparse, arguments))
        if (method, written) == ("relu", ""):
            return nn.ReLU()
        if (method, written) == ("flatten", "1"):
            return nn.Flatten()
        # Of an image; of anything else, the sizes of the layers would not fit.
        rows = (f"{given}.size(0), -1", f"{given}.shape[0], -1", "-1, 784", "-1, 28 * 28")
        if method in ("view", "reshape") and written in rows:
            return nn.Flatten()
        raise _NoChain


def _definition(forward: FunctionType) -> ast.FunctionDef:
    """Return the definition of a forward as it is in its file, if that is what was loaded. Raises `_NoChain`."""
    ours = forward.__code__
    try:
        text = "".join(inspect.findsource(forward)[0])
        compiled = compile(text, "", "exec", dont_inherit=True)
        definitions = [each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.FunctionDef)]
    except (OSError, TypeError, ValueError, SyntaxError, IndexError, RecursionError) as error:
        raise _NoChain from error
    found = [each for each in definitions if each.lineno == ours.co_firstlineno]
    if len(found) != 1 or found[0].decorator_list or ours not in _codes(compiled) or ours.co_freevars:
        raise _NoChain
    return found[0]


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield what a compiled file defines, at every level."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
