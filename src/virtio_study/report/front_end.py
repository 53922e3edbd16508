"""Who looks at a notebook: somebody whose front end shows what moves, or nobody."""

from typing import Any

__all__ = ["somebody_looks"]


def somebody_looks() -> bool:
    """Whether this is a cell that somebody runs in JupyterLab, VS Code or the like.

    Programs that run notebooks (papermill, nbconvert) ask their kernels for no input, since nobody would answer; what
    moves would leave random names and stale pictures in what they write.
    """
    return bool(getattr(_kernel(), "_allow_stdin", False))


def _kernel() -> Any:
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None)
