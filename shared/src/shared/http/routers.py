"""The routers of a service: that of its `api` module, or those of the modules of its `api` package."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from fastapi import APIRouter


def modules_of(api: ModuleType) -> list[ModuleType]:
    """The module itself and, of a package, those in it, in the order of their names."""
    names = sorted(found.name for found in pkgutil.iter_modules(getattr(api, "__path__", ())))
    return [api, *(importlib.import_module(f"{api.__name__}.{name}") for name in names)]


def routers_of(api: ModuleType) -> list[APIRouter]:
    """Every router; a module without one only helps the others."""
    return [module.router for module in modules_of(api) if hasattr(module, "router")]
