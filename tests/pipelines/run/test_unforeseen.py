"""Unforeseen errors name the photo, what to do, and keep their traceback."""

from __future__ import annotations

import errno

import pytest

from faceloom.pipelines.run.unforeseen import naming, refuse_machine_fault
from faceloom.schemas.errors import FaceloomError, PhotoError, StorageError, WorkerError


def test_an_unforeseen_error_names_its_place_and_the_remedy() -> None:
    with pytest.raises(WorkerError) as caught, naming("lfw/a.jpg"):
        raise ZeroDivisionError("division\nby zero")
    assert (caught.value.where, caught.value.value) == ("lfw/a.jpg", "division by zero")
    assert "ZeroDivisionError" in caught.value.what and "\n" not in str(caught.value)
    assert "`exclude`" in caught.value.remedy and "same command" in caught.value.remedy
    assert "in test_an_unforeseen" in caught.value.trace


def test_a_lack_of_memory_has_a_remedy_of_its_own() -> None:
    with pytest.raises(WorkerError) as caught, naming("lfw/a.jpg"):
        raise MemoryError
    assert str(caught.value).startswith("lfw/a.jpg: memory ran out. Use fewer workers")
    assert "`exclude`" not in caught.value.remedy


def test_a_lack_of_open_files_has_a_remedy_of_its_own() -> None:
    with pytest.raises(WorkerError, match=r"^lfw/a.jpg: too many open files.*see `ulimit -n`"), naming("lfw/a.jpg"):
        raise OSError(errno.EMFILE, "Too many open files", "a.jpg")


@pytest.mark.parametrize(
    "error", [StorageError("disk full"), PhotoError("no_face", "no face"), ImportError("dlib"), KeyboardInterrupt()]
)
def test_errors_of_ours_pass_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, naming("lfw/a.jpg"):
        raise error
    assert caught.value is error


def test_an_error_of_ours_without_a_place_gets_one() -> None:
    with pytest.raises(FaceloomError) as caught, naming("lfw/a.jpg"):
        raise FaceloomError("cannot be encoded as webp")
    assert str(caught.value) == "lfw/a.jpg: cannot be encoded as webp"


def test_the_innermost_name_counts() -> None:
    with pytest.raises(FaceloomError) as caught, naming("part 1"), naming("lfw/a.jpg"):
        raise ValueError("x")
    assert caught.value.where == "lfw/a.jpg"


def reading(cause: Exception) -> PhotoError:
    try:
        raise PhotoError("unreadable", f"cannot be read ({cause})", where="a.jpg") from cause
    except PhotoError as error:
        return error


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ESTALE])
def test_a_fault_of_disk_or_memory_is_none_of_the_photo(code: int) -> None:
    with pytest.raises(WorkerError) as caught:
        refuse_machine_fault("s/a.jpg", reading(OSError(code, "odd")))
    assert caught.value.where == "s/a.jpg"


@pytest.mark.parametrize("cause", [PermissionError(errno.EACCES, "no"), OSError(errno.ENOENT, "gone"), ValueError("x")])
def test_a_photo_without_permission_to_read_is_at_fault_itself(cause: Exception) -> None:
    refuse_machine_fault("s/a.jpg", reading(cause))
