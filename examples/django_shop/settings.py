"""Just enough of a project to run the example."""

from __future__ import annotations

SECRET_KEY = "for this example alone"  # noqa: S105 - it protects nothing
INSTALLED_APPS = ["examples.django_shop"]
ROOT_URLCONF = "examples.django_shop.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
