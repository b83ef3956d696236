"""From a module to plain nodes: torch exports it, and what the exported graph hides (writes, random numbers) is made visible."""
