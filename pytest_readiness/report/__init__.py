"""Report -> text: a model and one module a format. No pytest here."""
