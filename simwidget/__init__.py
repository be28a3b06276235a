"""Live similarity of the layers of PyTorch networks: CKA and dCKA with standard errors, during one pass over the data.

Start with `compare` (compares networks), `describe` (lists the layers of one network) or `SimilarityResult.load`
(reads a saved result). Public names are imported at their first use. Therefore importing this package is quick, and
reading a saved result does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simwidget.result.version import __version__ as __version__

if TYPE_CHECKING:
    from simwidget import charts, demo, functional, plots
    from simwidget.api import compare
    from simwidget.plan.description import Description, describe
    from simwidget.plan.similarity_model import SimilarityModel
    from simwidget.result.similarity_result import SimilarityResult
    from simwidget.resuming import resume
    from simwidget.run.comparison import Comparison
    from simwidget.simtorch import CKA, BaseSimilarity, DeltaCKA
    from simwidget.widget import SimilarityExplorer, SimilarityHeatmap

_MODULE_OF = {
    "compare": "api",
    "Comparison": "run.comparison",
    "Description": "plan.description",
    "describe": "plan.description",
    "resume": "resuming",
    "SimilarityResult": "result.similarity_result",
    "SimilarityModel": "plan.similarity_model",
    "SimilarityExplorer": "widget",
    "SimilarityHeatmap": "widget",
    "BaseSimilarity": "simtorch",
    "CKA": "simtorch",
    "DeltaCKA": "simtorch",
}
_SUBMODULES = ("charts", "demo", "functional", "plots")

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
    if name in _MODULE_OF:
        return getattr(import_module(f"simwidget.{_MODULE_OF[name]}"), name)
    if name in _SUBMODULES:
        return import_module(f"simwidget.{name}")
    raise AttributeError(f"module 'simwidget' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
