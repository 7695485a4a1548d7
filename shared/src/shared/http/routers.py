"""The routers of a service: that of its `api` module, or those of the modules of its `api` package."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from fastapi import APIRouter


def routers_of(api: ModuleType) -> list[APIRouter]:
    """Every router, of a package in the order of its modules' names; a module without one only helps the others."""
    names = sorted(found.name for found in pkgutil.iter_modules(getattr(api, "__path__", ())))
    modules = [api, *(importlib.import_module(f"{api.__name__}.{name}") for name in names)]
    return [module.router for module in modules if hasattr(module, "router")]
