"""Where they are."""

from __future__ import annotations

from django.urls import path

from examples.django_shop.views import show, win

urlpatterns = [path("quotes/<int:pk>", show), path("quotes/<int:pk>/win", win)]
