"""Files of strangers are read within budgets: of bytes, of what bytes inflate to, of parts, of seconds."""
