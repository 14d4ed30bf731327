"""Judge: a folder a section, a module a subsection, a function an item."""
