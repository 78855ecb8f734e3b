"""What is printed for a reader, without what a terminal would obey: names and sentences may be a stranger's."""

import errno
import os
import sys

SHUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What the system says of a stdout on a full disk, or of one that was closed."""


def plain(text: str) -> str:
    """Return `text` without the characters that a terminal would obey; spaces and ends of lines stay."""
    return "".join(letter if letter.isprintable() or letter in "\n\t\xa0\u202f" else "\ufffd" for letter in text)


def say(text: str) -> int:
    """Print `text`, and return the exit status of what is done."""
    check_stdout()
    print(plain(text), flush=True)
    return 0


def remark(text: str) -> None:
    """Print `text` beside the results."""
    print(plain(text), file=sys.stderr, flush=True)


def check_stdout() -> None:
    """Raise the system's error where stdout was closed before the program began: Python would print nothing, unsaid."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def hush() -> None:
    """Let nothing more be printed: what is still buffered must not fail again at the end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
