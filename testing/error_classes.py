"""Every class of the error family. In: the package `deployer`. Out: classes."""

from __future__ import annotations

import importlib
import pkgutil

import deployer
from deployer.core.errors import DeployerError, error_classes


def every_error() -> list[type[DeployerError]]:
    """The classes of all modules: a class exists once its module is loaded."""
    for module in pkgutil.walk_packages(deployer.__path__, "deployer."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    mine = (one for one in error_classes() if one.__module__.startswith("deployer."))
    return sorted(mine, key=lambda one: (one.code, one.__qualname__))
