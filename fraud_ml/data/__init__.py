"""Claims at rest: the raw log they are landed in, the snapshots frozen from it, and a simulator of such claims.

`log.land` appends a file to the bitemporal log, `snapshots.freeze` versions the log's prefix recorded up to a date,
`snapshots.pin_snapshot` brings one version into a workspace, `snapshots.open_snapshot` verifies it, and `fold.fold`
makes of it the claims as they were known, each once.
"""
