"""A file, or a folder of files, as a source: each file is a delivery."""

from collections.abc import Iterator
from pathlib import Path

from fraud_ml.contract import Contract
from fraud_ml.data.set_aside import Code
from fraud_ml.data.sources.files import SourceTable, can_read, read_file
from fraud_ml.data.sources.port import Delivery
from fraud_ml.errors import BadInput
from fraud_ml.settings import Settings


class FolderSource:
    """Reads the files at and below a path, in order of name; hidden ones and other kinds of files are left alone."""

    is_stream = False

    def __init__(self, address: str, contract: Contract, settings: Settings) -> None:  # noqa: ARG002 - the table's shape
        self._path, self._contract = Path(address), contract

    def deliveries(self) -> Iterator[Delivery]:
        """Yield each file. Raises BadInput when a folder holds none that can be read."""
        if not self._path.is_dir():
            yield Delivery(str(self._path), lambda: read_file(self._path, self._contract))
            return
        found = sorted(file for file in self._path.rglob("*") if self._is_claims(file))
        if not found:
            raise BadInput(
                f"{self._path}: no claims file in this folder",
                expected="files such as .csv, .jsonl.gz or .parquet",
                next_step="check the path",
            )
        for file in found:
            yield Delivery(str(file), lambda file=file: self._read(file))  # type: ignore[misc]

    def confirm(self, delivery: Delivery) -> None:
        """Nothing to do: a file that is landed again adds nothing."""

    def close(self) -> None:
        """Nothing to do."""

    def _is_claims(self, file: Path) -> bool:
        parts = file.relative_to(self._path).parts
        return file.is_file() and can_read(file.name) and not any(part.startswith((".", "_")) for part in parts)

    def _read(self, file: Path) -> SourceTable:
        if not file.exists():
            raise BadInput(
                f"{file}: listed, but not there any more", next_step="land the folder again", code=str(Code.ABSENT)
            )
        return read_file(file, self._contract)
