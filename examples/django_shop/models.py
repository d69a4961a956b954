"""A quote knows the batch that converts its leads."""

from __future__ import annotations

from django.db import models, transaction

from massconvert import Deal, Options
from massconvert.contrib.django import enqueue_on_commit

OPTIONS = Options(deal=Deal(name="Won quote", stage="Closed Won", closing_date="+0d"), assign_to="3652397000000281001")


class Quote(models.Model):
    """``lead_ids`` are the CRM's; ``batch`` is what converts them, once the quote is won."""

    lead_ids = models.JSONField(default=list)
    won = models.BooleanField(default=False)
    batch = models.CharField(max_length=200, blank=True)

    def win(self) -> None:
        """Mark it as won. Its leads are enqueued if that commits, and only then; the batch's id commits with it."""
        with transaction.atomic():
            self.won = True
            self.batch = enqueue_on_commit(self.lead_ids, OPTIONS, key=f"quote-{self.pk}")
            self.save()
