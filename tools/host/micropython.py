"""The module `micropython` for CPython: decorators that change nothing, and the names that viper code knows."""

import builtins


def const(value):
    """A compile-time constant on the board; here just the value."""
    return value


def native(function):
    return function


def viper(function):
    """Viper code as plain Python. Integers do not wrap here, so such code keeps its values within 32 bits."""
    return function


def _pointer(value):
    return value


for _name in ("ptr", "ptr8", "ptr16", "ptr32"):
    setattr(builtins, _name, _pointer)
builtins.uint = int
