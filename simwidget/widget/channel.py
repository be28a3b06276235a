"""The channel to the pages, as the publisher uses it. `SimilarityHeatmap` is one."""

from typing import Any, Protocol

from simwidget.result.similarity_result import SimilarityResult
from simwidget.widget.protocol import Selection


class Channel(Protocol):
    """Something with synced traits and custom messages that reach every page of one widget."""

    measure: str
    view: tuple[int, int]
    selection: Selection | None
    pinned: list[Selection]

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        """Send a custom message."""
        ...

    def write(self, **state: Any) -> None:
        """Set synced traits, all in one message."""
        ...

    def keep(self, result: SimilarityResult) -> None:
        """Put a result into the output that needs no kernel."""
        ...
