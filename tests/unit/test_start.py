"""`kdutils start`: the pages are copied, and nothing that a reader wrote is ever lost."""

import pytest
from click.testing import CliRunner

from kdutils import cli
from kdutils.course import start


@pytest.fixture
def pages(tmp_path):
    """A course of two pages and a note."""
    folder = tmp_path / "pages"
    (folder / "teaching").mkdir(parents=True)
    for name in ("00_start_here.ipynb", "01_next.ipynb", "teaching/01_next.md"):
        (folder / name).write_text(f"{name}, first edition")
    (folder / "pictures.png").touch()
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.*")
            if path.is_file() and path.name != start.MANIFEST}


def test_the_pages_and_their_notes_are_copied_and_a_second_time_nothing_is(pages, tmp_path):
    folder = tmp_path / "new" / "course"
    names = ("00_start_here.ipynb", "01_next.ipynb", "teaching/01_next.md")
    assert start.copy(folder, pages) == start.Copied(names, ())
    assert contents(folder) == {name: f"{name}, first edition" for name in names}
    assert start.copy(folder, pages) == start.Copied((), ())


def test_a_changed_page_is_kept_and_an_untouched_one_is_renewed(pages, tmp_path):
    """Catches a second edition that writes over a reader's answers, now or one edition later."""
    folder = tmp_path / "course"
    start.copy(folder, pages)
    (folder / "01_next.ipynb").write_text("my answers")
    for edition in ("second", "third"):
        for name in ("00_start_here.ipynb", "01_next.ipynb"):
            (pages / name).write_text(f"{edition} edition")
        assert start.copy(folder, pages) == start.Copied(("00_start_here.ipynb",), ("01_next.ipynb",))
        assert (folder / "01_next.ipynb").read_text() == "my answers"
        assert (folder / "00_start_here.ipynb").read_text() == f"{edition} edition"
    (folder / "01_next.ipynb").rename(folder / "mine.ipynb")
    assert start.copy(folder, pages) == start.Copied(("01_next.ipynb",), ())
    assert (folder / "mine.ipynb").read_text() == "my answers"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("{half"),
                                    lambda path: path.write_text("[1]")])
def test_where_it_is_not_known_what_was_copied_every_other_page_is_the_readers(pages, tmp_path, damage):
    folder = tmp_path / "course"
    start.copy(folder, pages)
    damage(folder / start.MANIFEST)
    (pages / "00_start_here.ipynb").write_text("second edition")
    assert start.copy(folder, pages) == start.Copied((), ("00_start_here.ipynb",))


def test_the_folder_of_the_pages_themselves_is_left_alone(pages):
    before = contents(pages)
    assert start.copy(pages, pages) == start.Copied((), ()) and contents(pages) == before
    assert not (pages / start.MANIFEST).exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(pages, tmp_path, refuses):
    (tmp_path / "file").touch()
    with refuses("cannot be copied into", "file", "Not a directory"):
        start.copy(tmp_path / "file" / "course", pages)


def test_the_command_copies_says_what_it_kept_and_opens_the_lab(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(start, "open_lab", lambda folder, arguments: opened.append((folder, arguments)) or 3)
    folder = tmp_path / "course"
    result = CliRunner().invoke(cli.app, ["start", str(folder), "--copy-only"])
    assert result.exit_code == 0 and "files copied into" in result.stdout and not opened
    (folder / start.FIRST).write_text("my answers")
    result = CliRunner().invoke(cli.app, ["start", str(folder), "--", "--port", "1"])
    assert result.exit_code == 3 and opened == [(folder, ("--port", "1"))]
    assert "0 files copied" in result.stdout and f"stay as they are: {start.FIRST};" in result.stdout


def test_without_jupyterlab_it_is_said_how_to_get_it(tmp_path, monkeypatch, refuses):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refuses("kdutils[notebooks]"):
        start.open_lab(tmp_path)
