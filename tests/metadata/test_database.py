"""One writer, durable on reply, schema by component."""

import threading
from pathlib import Path

import pytest

from wherry.metadata.atomic_file import write_atomic
from wherry.metadata.database import Database, Migration, SchemaTooNew

ONE = Migration("things", 1, "CREATE TABLE things (name TEXT PRIMARY KEY);")
TWO = Migration("things", 2, "ALTER TABLE things ADD COLUMN size INTEGER DEFAULT 7;")


def test_migrations_run_once_each_and_in_order(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    first = Database(path, [ONE])
    with first.write() as connection:
        connection.execute("INSERT INTO things VALUES ('a')")
    first.close()
    second = Database(path, [ONE, TWO])
    assert second.read().execute("SELECT size FROM things").fetchone()["size"] == 7
    second.close()
    with pytest.raises(SchemaTooNew, match="things schema is version 2, this wherry knows 1"):
        Database(path, [ONE])


def test_s32_nobody_else_reads_the_database(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.touch(mode=0o644)
    database = Database(str(path), [ONE])
    with database.write() as connection:
        connection.execute("INSERT INTO things VALUES ('secret')")
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "db": 0o600, "db-wal": 0o600, "db-shm": 0o600,
    }  # fmt: skip
    database.close()


def test_r03_every_commit_is_synchronous(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db"), [ONE])
    assert database.read().execute("PRAGMA synchronous").fetchone()[0] == 2
    assert database.read().execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    database.close()


def test_a_block_that_raises_changes_nothing_and_inner_blocks_join(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db"), [ONE])
    with pytest.raises(RuntimeError), database.write() as connection:
        connection.execute("INSERT INTO things VALUES ('a')")
        with database.write() as inner:
            inner.execute("INSERT INTO things VALUES ('b')")
        raise RuntimeError
    assert database.read().execute("SELECT count(*) FROM things").fetchone()[0] == 0
    database.close()


def test_writers_of_many_threads_take_turns(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db"), [ONE])

    def write(number: int) -> None:
        for turn in range(10):
            with database.write() as connection:
                connection.execute("INSERT INTO things VALUES (?)", (f"{number}.{turn}",))
        database.release_thread()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.read().execute("SELECT count(*) FROM things").fetchone()[0] == 60
    database.close()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(str(path), b"old")
    with pytest.raises(TypeError):
        write_atomic(str(path), "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    write_atomic(str(path), b"new", mode=0o640)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
