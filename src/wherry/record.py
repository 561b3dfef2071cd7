"""NamedTuple without typing: for the folders that ``wherry-runtime`` loads anew for each of its commands.

typing, with collections, functools and enum behind it, takes 5 ms to import, half as long as the interpreter takes
to start; a class by its NamedTuple takes another 0.15 ms to define. To a type checker this *is* typing's NamedTuple.
What only annotations need is imported under ``if TYPE_CHECKING:``.
"""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
    from typing import Protocol as Protocol
else:
    from _operator import itemgetter

    class Protocol:
        """A base class for the type checker's eyes only."""

        __slots__ = ()

    class NamedTuple(tuple):
        """A tuple whose elements have the names that the class annotates, with the defaults that it assigns."""

        __slots__ = ()
        _fields = ()
        _defaults = {}

        def __init_subclass__(cls):
            if cls._fields:
                return  # a subclass of a record adds behaviour, not fields
            cls._fields = tuple(cls.__annotations__)
            cls._defaults = {name: cls.__dict__[name] for name in cls._fields if name in cls.__dict__}
            for index, name in enumerate(cls._fields):
                setattr(cls, name, property(itemgetter(index)))

        def __new__(cls, *values, **named):
            fields = cls._fields
            if len(values) < len(fields):
                defaults = cls._defaults
                try:
                    values += tuple(
                        [named.pop(name) if name in named else defaults[name] for name in fields[len(values) :]]
                    )
                except KeyError as exc:
                    raise TypeError(f"{cls.__name__}: {exc.args[0]} is missing") from None
            if named or len(values) != len(fields):
                raise TypeError(f"{cls.__name__}: {len(values)} values and {sorted(named)} for {fields}")
            return tuple.__new__(cls, values)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in self._asdict().items())})"

        def __getnewargs__(self):
            return tuple(self)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changes):
            return type(self)(**{**self._asdict(), **changes})
