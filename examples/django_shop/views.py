"""A button and a page."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404

from examples.django_shop.models import Quote
from massconvert import InputError, MassConvert, OptionsError

if TYPE_CHECKING:
    from django.http import HttpResponse

mass_convert = MassConvert()  # connects at its first use; safe to share between threads


def win(_request: HttpRequest, pk: int) -> HttpResponse:
    """The button."""
    quote = get_object_or_404(Quote, pk=pk)
    try:
        quote.win()
    except (InputError, OptionsError) as error:  # nothing was written
        return JsonResponse({"error": error.message}, status=400)
    return JsonResponse({"batch": quote.batch}, status=202)


def show(_request: HttpRequest, pk: int) -> HttpResponse:
    """The page."""
    quote = get_object_or_404(Quote, pk=pk)
    progress = asdict(mass_convert.batch(quote.batch).progress()) if quote.batch else None
    return JsonResponse({"won": quote.won, "progress": progress})
