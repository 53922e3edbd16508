"""Words for readers: sentences from templates, harmless labels, languages and their catalogue. Knows nobody."""
