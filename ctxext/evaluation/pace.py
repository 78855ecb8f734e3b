"""What a measurement tells of its pace while it goes on: nobody by itself, and nothing ends it early."""


class Pace:
    """Told of what is measured, how far that is, and what was found; `tick` may raise, to end the measurement."""

    def begin(self, what: str) -> None:
        """Hear that `what` is measured from now on."""

    def count(self, done: int, total: int) -> None:
        """Hear that `done` of `total` rows of it are scored."""

    def tick(self) -> None:
        """Hear that a pass is about to begin: all scores before it are kept."""

    def end(self, found: str) -> None:
        """Hear what was `found`, in words."""


QUIET = Pace()
