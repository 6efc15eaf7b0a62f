"""The quarantine file names claims by digest, in one spelling."""

import hashlib

import pyarrow.parquet as pq

from fraud_ml.validation.quarantine import SetAside, digest_key, quarantined_keys, write_quarantine


def test_equal_entries_give_equal_bytes_whatever_their_order(tmp_path):
    entries = [SetAside(digest_key(f"M-{n}"), code) for n in range(50) for code in ("GX501", "GX502")]
    write_quarantine(entries, tmp_path / "a.parquet")
    write_quarantine([*reversed(entries), entries[3]], tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.parquet", "b.parquet"]


def test_no_entries_give_the_same_columns(tmp_path):
    write_quarantine([SetAside(digest_key("M-1"), "GX501")], tmp_path / "one.parquet")
    write_quarantine([], tmp_path / "none.parquet")
    assert pq.read_schema(tmp_path / "none.parquet").equals(pq.read_schema(tmp_path / "one.parquet"))
    assert quarantined_keys(tmp_path / "none.parquet") == frozenset()


def test_a_claim_is_named_by_the_digest_of_its_key(tmp_path):
    write_quarantine(
        [SetAside(digest_key("M-1"), "GX501"), SetAside(digest_key("M-1"), "GX502")], tmp_path / "q.parquet"
    )
    assert quarantined_keys(tmp_path / "q.parquet") == {hashlib.sha256(b"M-1").hexdigest()}
    assert b"M-1" not in (tmp_path / "q.parquet").read_bytes()
