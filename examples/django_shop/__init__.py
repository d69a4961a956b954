"""A Django app whose quotes have leads. In a project of its own: add it to INSTALLED_APPS."""
