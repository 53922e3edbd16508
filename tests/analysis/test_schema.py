"""The shipped JSON schema is that of the models, and says what is no results file."""

import json
from typing import Any

import jsonschema
import pytest

from synthetic import make_study
from virtio_study.analysis.results import Results
from virtio_study.analysis.schema import SCHEMA, results_schema
from virtio_study.workflow import steps

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Schema:
    found: Schema = json.loads(SCHEMA.read_bytes())
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    study = make_study(tmp_path_factory.mktemp("schema"), boots=2)
    steps.write_results(study)
    found: dict[str, Any] = json.loads((study.reports / "results.json").read_bytes())
    return found


def test_the_shipped_schema_is_that_of_the_models() -> None:
    assert SCHEMA.read_bytes() == results_schema(), "run: python -m virtio_study.analysis.schema"


def test_written_results_keep_it_and_come_back_as_they_were(schema: Schema, results: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(results, schema, jsonschema.Draft202012Validator)
    assert Results.model_validate(results).model_dump(mode="json") == results


@pytest.mark.parametrize("spoil", ["text for a number", "unknown key", "missing key", "another version"])
def test_what_is_no_results_file_is_refused(schema: Schema, results: dict[str, Any], spoil: str) -> None:
    spoilt = json.loads(json.dumps(results))
    effect = spoilt["servers"]["versat"]["comparisons"]["total"]["effects"]["mem_host"]
    if spoil == "text for a number":
        effect["difference"]["estimate"] = "much"
    elif spoil == "unknown key":
        effect["verdikt"] = "believable"
    elif spoil == "missing key":
        del effect["status"]
    else:
        spoilt["schema_version"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, schema, jsonschema.Draft202012Validator)


def test_no_number_of_the_results_has_more_digits_than_declared(results: dict[str, Any]) -> None:
    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [number for key, item in value.items() if not key.endswith(("_s",)) for number in numbers(item)]
        if isinstance(value, list):
            return [number for item in value for number in numbers(item)]
        return [value] if isinstance(value, float) else []

    found = numbers(results)
    assert len(found) > 500
    assert all(float(f"{number:.8e}") == number for number in found)
