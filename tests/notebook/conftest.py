"""A real notebook server, real kernels and a real browser."""

import pytest
from jupyter_pages import VIEWPORT, Notebook, Server
from jupyter_spares import Spares


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    pytest.importorskip("jupyterlab")
    server = Server(tmp_path_factory.mktemp("lab"), "lab")
    yield server
    server.close()


@pytest.fixture(scope="session")
def notebook7(tmp_path_factory):
    pytest.importorskip("notebook")
    server = Server(tmp_path_factory.mktemp("notebook"), "notebook")
    yield server
    server.close()


@pytest.fixture(scope="session")
def spares(lab, chromium):
    spares = Spares(lab, chromium)
    yield spares
    spares.close()


@pytest.fixture
def book(lab, spares, request):
    """A notebook of its own in JupyterLab; its kernel is shut down afterwards."""
    page = spares.take_page()
    yield Notebook(lab, page.context, file_of(request), page, spares)
    page.context.close()
    spares.shut_down()


@pytest.fixture
def book7(notebook7, chromium, request):
    """The same in Notebook 7, which has a page for each notebook."""
    context = chromium.new_context(viewport=VIEWPORT)
    yield Notebook(notebook7, context, file_of(request))
    context.close()


def file_of(request):
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name) + ".ipynb"
