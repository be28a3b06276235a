"""A real notebook server, real kernels and a real browser."""

import urllib.request

import pytest
from jupyter_pages import Notebook, Server


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


@pytest.fixture
def book(lab, chromium, request):
    """A notebook of its own in JupyterLab; its kernel is shut down afterwards."""
    yield from opened(lab, chromium, request)


@pytest.fixture
def book7(notebook7, chromium, request):
    """The same in Notebook 7."""
    yield from opened(notebook7, chromium, request)


def opened(server, chromium, request):
    context = chromium.new_context(viewport={"width": 1300, "height": 1000})
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name) + ".ipynb"
    yield Notebook(server, context, name)
    context.close()
    for session in server.get("/api/sessions"):
        urllib.request.urlopen(
            urllib.request.Request(f"{server.url}/api/sessions/{session['id']}", method="DELETE"), timeout=20
        )
