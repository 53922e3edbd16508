"""A folder of the researcher's own, laid out once: protocol, notebooks, environment, texts."""
