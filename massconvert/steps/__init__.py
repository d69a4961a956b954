"""One verb a file: a step claims a chunk, asks Zoho once, lets ``policy`` decide, and writes the decision."""
