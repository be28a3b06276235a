"""Which layers of one PyTorch network behave like which layers of another, while the data still stream.

Names are imported at first use, so that importing this package is quick and needs only what is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from simwidget import charts, demo, functional, plots
    from simwidget.api import compare
    from simwidget.comparison import Comparison
    from simwidget.description import Description, describe
    from simwidget.result import SimilarityResult
    from simwidget.resuming import resume
    from simwidget.similarity import CKA, BaseSimilarity, DeltaCKA
    from simwidget.similarity_model import SimilarityModel
    from simwidget.widget import SimilarityExplorer, SimilarityHeatmap

_HOMES = {
    "compare": "api",
    "Comparison": "comparison",
    "Description": "description",
    "describe": "description",
    "resume": "resuming",
    "SimilarityResult": "result",
    "SimilarityModel": "similarity_model",
    "SimilarityExplorer": "widget",
    "SimilarityHeatmap": "widget",
    "BaseSimilarity": "similarity",
    "CKA": "similarity",
    "DeltaCKA": "similarity",
}
_ROOMS = ("charts", "demo", "functional", "plots")

__all__ = [
    "CKA",
    "BaseSimilarity",
    "Comparison",
    "DeltaCKA",
    "Description",
    "SimilarityExplorer",
    "SimilarityHeatmap",
    "SimilarityModel",
    "SimilarityResult",
    "charts",
    "compare",
    "demo",
    "describe",
    "functional",
    "plots",
    "resume",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"simwidget.{_HOMES[name]}"), name)
    if name in _ROOMS:
        return import_module(f"simwidget.{name}")
    raise AttributeError(f"module 'simwidget' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
