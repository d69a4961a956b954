"""Another version of a frozen value, made quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import replace as changed
else:

    def changed(value: Any, /, **fields: Any) -> Any:
        """As `dataclasses.replace`, for a dataclass without ``__post_init__``, ``slots`` and fields not to be set.

        That sets each field of a frozen class by a call: 28 µs for the 43 fields of a chunk, where this takes 4.
        Raises TypeError for a name that is not a field of it.
        """
        if not value.__dataclass_fields__.keys() >= fields.keys():
            raise TypeError(
                f"{type(value).__name__} has no field {', '.join(fields.keys() - value.__dataclass_fields__.keys())}"
            )
        other = object.__new__(type(value))
        other.__dict__.update(value.__dict__, **fields)
        return other


__all__ = ["changed"]
