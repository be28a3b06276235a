"""The measures on arrays: agreement with the oracle and declared invariances."""

import numpy as np
import pytest
import reference

from simwidget.functional import cka, dcka

RNG = np.random.default_rng(0)
X, Y, Z = RNG.normal(size=(3, 40, 7))
X, Y = X + Z, Y + Z
ROTATION = np.linalg.qr(RNG.normal(size=(7, 7)))[0]


@pytest.mark.parametrize("unbiased", [True, False])
def test_cka_equals_the_oracle(unbiased):
    assert cka(X, Y, unbiased=unbiased) == pytest.approx(reference.cka([[X, Y]], unbiased)[0, 1], abs=1e-12)


def test_dcka_equals_the_oracle():
    assert dcka(X, Y, Z) == pytest.approx(reference.dcka([[X, Y]], [[Z]])[0, 1], abs=1e-12)
    assert dcka(X, Y, [Z, X[:, :2]]) == pytest.approx(reference.dcka([[X, Y]], [[Z, X[:, :2]]])[0, 1], abs=1e-12)


@pytest.mark.parametrize("measure", [cka, lambda x, y: dcka(x, y, Z)], ids=["cka", "dcka"])
def test_symmetry_and_invariances(measure):
    value = measure(X, Y)
    assert measure(Y, X) == pytest.approx(value, abs=1e-12)
    assert measure(X, X) == pytest.approx(1)
    assert measure(X @ ROTATION, Y) == pytest.approx(value, abs=1e-10)
    assert measure(30 * X + 5, Y) == pytest.approx(value, abs=1e-10)
    assert abs(measure(X @ np.diag([9, 1, 1, 1, 1, 1, 1]), Y) - value) > 1e-3  # not invariant to any linear map


def test_errors_name_the_numbers():
    with pytest.raises(ValueError, match=r"\[40, 39\] samples"):
        cka(X, Y[1:])
    with pytest.raises(ValueError, match="3 samples: this estimator needs at least 4"):
        cka(X[:3], Y[:3])
    assert np.isnan(cka(X, np.ones((40, 3))))
