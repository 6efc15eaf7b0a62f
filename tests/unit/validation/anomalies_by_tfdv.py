"""Run by TFDV's interpreter: claims and figures in, the anomalies of TFDV's own statistics and of ours out.

Fails unless the worker finds in both what TFDV's `validate_statistics` does.

<tfdv python> anomalies_by_tfdv.py tfdv_worker.py schema.pbtxt claims.parquet figures.json
"""

import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path


def main(worker: str, schema_path: str, claims: str, figures: str) -> None:
    warnings.filterwarnings("ignore")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import pyarrow.parquet as pq
    import tensorflow_data_validation as tfdv
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    spec = importlib.util.spec_from_file_location("tfdv_worker", worker)
    ours = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ours)
    schema = text_format.Parse(Path(schema_path).read_text(encoding="utf-8"), schema_pb2.Schema())
    found = []
    told = json.loads(Path(figures).read_text(encoding="utf-8"))
    for path, one in zip(claims.split(","), told, strict=True):
        theirs = tfdv.generate_statistics_from_dataframe(pq.read_table(path).to_pandas(ignore_metadata=True), n_jobs=1)
        pair = []
        for statistics in (theirs, ours.statistics_of(one)):
            features = {feature.path.step[0]: feature for feature in statistics.datasets[0].features}
            anomalies = tfdv.validate_statistics(statistics, schema)
            if anomalies != ours.anomalies_of(ours._validator(), statistics, schema):
                raise AssertionError("the worker's validator finds otherwise")
            pair.append(list(ours._anomalies(anomalies, schema, features)))
        found.append(pair)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
