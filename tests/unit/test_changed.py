"""`changed` does what `dataclasses.replace` does, and is quicker."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass, replace
from typing import Any

import pytest

from massconvert import model
from massconvert.model import Failing, Outcome
from massconvert.model.changed import changed
from massconvert.policy import Decision, Moment

CLASSES = [each for _, each in inspect.getmembers(model, is_dataclass)] + [Decision, Moment]


@dataclass(frozen=True)
class _Some:
    one: int
    two: str = "two"
    three: tuple[int, ...] = ()


def test_another_version_has_the_new_values_and_all_others() -> None:
    some = _Some(1, three=(3,))
    assert changed(some, two="b") == replace(some, two="b") == _Some(1, "b", (3,))
    assert some == _Some(1, three=(3,))
    with pytest.raises(FrozenInstanceError):
        changed(some, one=2).one = 3  # type: ignore[misc]  # that is what is tried


def test_what_is_no_field_is_refused() -> None:
    wrong: Any = {"four": 4}
    with pytest.raises(TypeError, match="_Some has no field four"):
        changed(_Some(1), **wrong)


@pytest.mark.parametrize("of", CLASSES, ids=lambda of: of.__name__)
def test_no_class_needs_more_than_its_fields(of: Any) -> None:
    """It would be made without what its ``__post_init__`` does, or with what was kept for the one it was made of."""
    assert not hasattr(of, "__post_init__")
    assert not hasattr(of, "__slots__")
    assert all(field.init for field in fields(of))
    assert not [name for name, value in vars(of).items() if type(value).__name__ == "cached_property"]


def test_an_unchanged_version_equals_the_first() -> None:
    for value in (Failing(), Outcome(model.Kind.CONVERTED)):
        assert changed(value) == value
        assert changed(value) is not value
