"""scikit-learn's answers to what onnxprobe evaluates, on small sets of random codes.

    python testdata/export/measures.py

writes testdata/golden/measures.json. Needs scikit-learn and numpy.
"""

import json
import pathlib

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier
from sklearn.neighbors import KNeighborsClassifier

HERE = pathlib.Path(__file__).resolve().parent.parent


def codes(rng, items, bits, classes, noise):
    """Noisy copies of one random code for each class."""
    centres = rng.integers(0, 2, (classes, bits))
    label = rng.integers(0, classes, items)
    flip = rng.random((items, bits)) < noise
    return (centres[label] ^ flip).astype(np.uint8), label


def pack(x):
    return np.packbits(x, axis=1).tobytes().hex()


def untied(rng, x, k):
    """Rows to begin K-means with, from which no item is equally near to two."""
    while True:
        first = rng.choice(len(x), k, replace=False)
        d = np.sort((x[:, None] != x[None, first]).sum(-1), axis=1)
        if (d[:, 0] < d[:, 1]).all():
            return first


def case(seed, items, bits, classes, noise, k):
    rng = np.random.default_rng(seed)
    x, y = codes(rng, 2 * items, bits, classes, noise)
    train, test, a, b = x[:items], x[items:], y[:items], y[items:]
    knn = KNeighborsClassifier(k, metric="hamming", algorithm="brute").fit(train, a)
    # Neighbours whose choice no tie decides: the k-th is nearer than the next.
    d = np.sort((test[:, None] != train[None]).sum(-1), axis=1)
    sure = d[:, k - 1] < d[:, k]
    first = untied(rng, train, classes)
    km = KMeans(classes, init=train[first].astype(float), n_init=1, tol=0, max_iter=300, algorithm="lloyd").fit(train.astype(float))
    table = np.zeros((classes, classes), int)
    for c, l in zip(km.labels_, a):
        table[c, l] += 1
    rows, cols = linear_sum_assignment(-table)
    full = dict(C=0.5, tol=1e-12, max_iter=20000)
    multi = LogisticRegression(**full).fit(train, a)
    pairs = OneVsOneClassifier(LogisticRegression(**full)).fit(train, a)
    # A constant may be added to all intercepts of a softmax: ours sum to 0.
    free = multi.intercept_ - (multi.intercept_.mean() if classes > 2 else 0)
    weights = [[*map(float, w), float(i)] for w, i in zip(multi.coef_, free)]
    return {
        "bits": bits, "k": k, "c": 0.5, "train": pack(train), "test": pack(test),
        "train_labels": a.tolist(), "test_labels": b.tolist(),
        "regions": len(np.unique(train, axis=0)),
        "knn": knn.predict(test).tolist(), "sure": sure.tolist(),
        "initial": first.tolist(), "kmeans": km.labels_.tolist(), "inertia": float(km.inertia_),
        "purity": float(table.max(1).sum() / items), "matched": float(table[rows, cols].sum() / items),
        "multinomial": multi.predict(test).tolist(), "multinomial_weights": weights,
        "pairs": pairs.predict(test).tolist(),
        "pairs_weights": [[-float(v) for v in (*e.coef_[0], e.intercept_[0])] for e in pairs.estimators_],
    }


def main():
    cases = [case(1, 60, 45, 3, 0.25, 9), case(2, 80, 64, 4, 0.2, 5), case(3, 50, 13, 2, 0.2, 3), case(4, 40, 133, 5, 0.35, 1)]
    to = HERE / "golden" / "measures.json"
    to.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(to, to.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
