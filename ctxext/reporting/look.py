"""How the pictures of a run look: a colour, a marker and a dash for each subject, and one style for all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers tell apart; markers and dashes tell them apart in grey.
LOOK = {
    "base": ("#000000", "o", "-"),
    "truncated": ("#E69F00", "s", "--"),
    "zero_shot": ("#56B4E9", "^", ":"),
    "extended": ("#0072B2", "D", "-"),
}
STYLE: Any = {
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in this project's style, whatever the user's own settings."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def plain_logarithm(axes: "Axes") -> None:
    """Make the y axis logarithmic, with plain numbers at 1, 2 and 5 of each decade that it shows."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
