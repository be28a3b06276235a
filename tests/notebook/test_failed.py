"""A run that fails says so on the page, with what to do, and goes on from there."""

import json

FAILING = """
import json, torch, simwidget as sw

class Net(torch.nn.Module):
    broken = True
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(6, 8), torch.nn.Linear(8, 4)
        self.calls = 0
    def forward(self, x):
        self.calls += 1
        if self.broken and self.calls > 5:
            raise torch.OutOfMemoryError("out of memory")
        return self.second(self.first(x))

torch.manual_seed(0)
comparison = sw.compare({"a": Net(), "b": Net()}, list(torch.randn(9, 32, 6)), gram_batch=32, device="cpu")
comparison
"""


def test_a_failed_run_is_tried_again_from_the_page(book):
    page = book.write(FAILING, "Net.broken = False", "").open().ready().page
    book.run(0)
    page.wait_for_selector(".run[data-state=failed]")
    where = page.locator(".simwidget-heatmap .run .where").text_content()
    assert where.startswith("Failed after batch 5 of 9: OutOfMemoryError: out of memory")
    assert "give batches of 16 samples" in where
    assert "in batch 5 of the loader" in where
    assert "OutOfMemoryError" not in page.locator(".simwidget-heatmap .notes").text_content()  # not twice
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').cells?.samples === 160")
    book.run(1)
    page.click(".run button.resume")
    page.wait_for_selector(".run[data-state=finished]")
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').cells?.samples === 288")
    shown = page.evaluate("() => [...document.querySelector('.simwidget-heatmap').cells.values]")
    computed = json.loads(book.ask(2, "print(json.dumps(comparison.result.matrix('cka').ravel().tolist()))"))
    assert max(abs(a - b) for a, b in zip(shown, computed, strict=True)) < 1e-6
