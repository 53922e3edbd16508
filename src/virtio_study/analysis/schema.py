"""The JSON schema of `results.json`, made from the models; `python -m virtio_study.analysis.schema` writes it anew."""

import json
from importlib.resources import as_file, files

from virtio_study.analysis.results import Results
from virtio_study.storage import write_atomically

__all__ = ["SCHEMA", "results_schema"]

SCHEMA = files("virtio_study.analysis") / "results.schema.json"
"""Where the schema is shipped, for programs that read results without this package."""


def results_schema() -> bytes:
    """The schema as it is shipped.

    References
    ----------
    JSON Schema, draft 2020-12.
    """
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Results.model_json_schema(mode="serialization"),
    }
    return (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    with as_file(SCHEMA) as path:
        write_atomically(path, results_schema())
