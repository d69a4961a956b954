"""Ways in: what apps, commands and messages give becomes a batch in the ledger. Needs no Zoho credentials."""
