"""Where things are on a heatmap in a page."""

import numpy as np

HEATMAP = ".simwidget-heatmap"


class Map:
    """One heatmap of a page, the first by default."""

    def __init__(self, page, nth=0):
        self.page = page
        self.element = page.locator(HEATMAP).nth(nth)
        self.stage = self.element.locator(".stage")

    @property
    def rows(self):
        return self.element.evaluate("(one) => one.rows")

    @property
    def columns(self):
        return self.element.evaluate("(one) => one.columns")

    @property
    def frame(self):
        """Left, top, width and height of the cells on the stage."""
        return [float(one) for one in self.stage.locator("canvas.cells").get_attribute("data-frame").split()]

    @property
    def window(self):
        """x0, x1, y0, y1 of the seen part, in cells."""
        return [float(one) for one in self.stage.locator("canvas.cells").get_attribute("data-window").split()]

    def at(self, row, column):
        """The middle of a cell on the stage, by names or positions."""
        if isinstance(row, str):
            row = self.rows.index(row)
        if isinstance(column, str):
            column = self.columns.index(column)
        left, top, width, height = self.frame
        x0, x1, y0, y1 = self.window
        return {
            "x": left + (column + 0.5 - x0) * width / (x1 - x0),
            "y": top + (row + 0.5 - y0) * height / (y1 - y0),
        }

    def click(self, row, column):
        self.stage.click(position=self.at(row, column))

    def hover(self, row, column):
        self.stage.hover(position=self.at(row, column))

    def open_all(self):
        """Show every layer."""
        depth = self.element.get_by_label("Open blocks to a depth")
        depth.select_option(label="every layer")
        self.page.wait_for_function(
            "(one) => one.rows.length === one.cells.rows.length && one.columns.length === one.cells.columns.length",
            arg=self.element.element_handle(),
        )

    def says(self, selector, text):
        self.page.wait_for_function(
            "([one, selector, text]) => one.querySelector(selector)?.textContent.includes(text)",
            arg=[self.element.element_handle(), selector, text],
        )

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def values(self):
        """The shown measure, every layer, as the page has it."""
        shown = self.element.evaluate(
            "(one) => [one.cells.rows.length, one.cells.columns.length, [...one.cells.values]]"
        )
        return np.array([np.nan if one is None else one for one in shown[2]]).reshape(shown[:2])
