"""The interface through which a `Publisher` sends data to the browser pages. `SimilarityHeatmap` implements it."""

from typing import Any, Protocol

from simwidget.result.similarity_result import SimilarityResult
from simwidget.widget.protocol import Selection


class Channel(Protocol):
    """A widget whose synced traits and custom messages reach every browser page that shows it."""

    measure: str
    view: tuple[int, int]
    selection: Selection | None
    pinned: list[Selection]

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send a custom message with optional binary buffers to all pages."""
        ...

    def write(self, **state: Any) -> None:
        """Set synced traits, given by name, and send all changes to the pages in one message."""
        ...

    def keep(self, result: SimilarityResult) -> None:
        """Show a result in the static output, which a notebook can display without a kernel."""
        ...
