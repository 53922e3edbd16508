"""The published page: one self-contained HTML file a language, made of results and figures alone."""
