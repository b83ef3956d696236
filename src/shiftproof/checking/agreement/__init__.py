"""Whether the exported program does what the module does: both run on the same pictures before anything is called proved."""
