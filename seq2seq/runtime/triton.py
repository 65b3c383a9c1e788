"""Triton kernels, if they run on this machine."""

import logging
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch

log = logging.getLogger(__name__)


@cache
def kernels(module: str) -> ModuleType | None:
    """The module of that name after its `try_kernels(device)` has run on the GPU; or None where it cannot.

    Triton comes with torch's CUDA builds for Linux, but it also needs a C compiler and Python's headers; training must
    work without them.
    """
    if find_spec("triton") is None:
        return None
    try:
        found = import_module(module)
        found.try_kernels(torch.device("cuda"))
    except Exception as error:  # whatever a compiler, a driver or another version of Triton may raise
        reason = str(error).strip().split("\n")[-1]
        log.warning(
            "the kernels of %s do not run here (%s): training takes more time and memory without them", module, reason
        )
        return None
    return found
