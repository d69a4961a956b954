"""Whom to call when a batch has finished, and whom a message may have called."""
