"""Batch scoring: a snapshot's claims and a registered model in, one Parquet file of scores for each event month out."""
