"""For producers that live in a framework; each module needs that framework, and nothing else does."""
