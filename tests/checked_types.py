"""Types and shapes of every function of the package, checked as annotated while the tests run.

jaxtyping's import hook puts its decorator on every function, and each call through it costs some twenty microseconds: it
binds the arguments to keep what "n" in one shape has to be in the next. Most functions name no shape. For them beartype
alone checks the same in a fraction of the time, which makes a check of a network more than twice as fast.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import random
import typing
from types import FunctionType
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype._check.code import codemain

# PEP 484's tower: an int is a float, as type checkers read it
# Of a list, beartype checks one item that it draws. From Python's own generator each check of a network would have to run twice,
# to find out whether it was the network that drew.
if codemain.getrandbits is random.getrandbits:  # once: pytest imports this file a second time for its docstrings
    codemain.getrandbits = random.Random(0).getrandbits

CONF = BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError)
check_shapes = jaxtyping.jaxtyped


def check_types(package: str) -> None:
    """Checks every module of a package that is imported from now on."""
    jaxtyping.jaxtyped = checked
    jaxtyping.install_import_hook(package, "checked_types.check_plain")


check_plain = beartype(conf=CONF)


def checked(thing: Any = None, *, typechecker: Any = check_plain) -> Any:
    """A function, or a dataclass, whose calls are checked: by jaxtyping if a shape is named, else by beartype alone."""
    if thing is None:
        return functools.partial(checked, typechecker=typechecker)
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and "__init__" in vars(thing):
            thing.__init__ = checked(_with_types(thing), typechecker=typechecker)
        return thing
    return (
        _at_first_call(thing, typechecker)
        if isinstance(thing, FunctionType)
        else check_shapes(thing, typechecker=typechecker)
    )


def _at_first_call(plain: FunctionType, typechecker: Any) -> Any:
    """The function with its check, which is chosen when it is called: before, names that its file defines later do not exist.

    A name that only type checkers import cannot be looked up at all, and jaxtyping knows no shape with two runs of any length:
    such functions are not checked. Jaxtyping's own switch turns both kinds of check off.
    """
    chosen: list[Any] = []

    @functools.wraps(plain)
    def call(*given: Any, **named: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return plain(*given, **named)
        if not chosen:
            chosen.append(_check_of(plain, typechecker))
        return chosen[0](*given, **named)

    # the check names the line of a model's own code, and takes no file whose name is in angle brackets for one
    call.__code__ = call.__code__.replace(co_filename="<@beartype, chosen at the first call>")
    return call


def _check_of(plain: FunctionType, typechecker: Any) -> Any:
    try:
        hints = typing.get_type_hints(plain)
    except (NameError, ValueError):  # ValueError: a shape for readers, with two runs of any length
        return plain
    return check_shapes(plain, typechecker=typechecker) if "jaxtyping." in repr(hints) else typechecker(plain)


def _with_types(cls: type) -> FunctionType:
    """The `__init__` that dataclass made. Names of types that a base of another module uses are not known in this one."""
    init = vars(cls)["__init__"]
    for base in reversed(cls.__mro__[1:]):
        if dataclasses.is_dataclass(base) and base.__module__ != cls.__module__:
            init.__annotations__ |= typing.get_type_hints(base)
    return init
