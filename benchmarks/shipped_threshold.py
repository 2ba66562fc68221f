"""Does the threshold that an artifact ships keep its word elsewhere? As JSON.

``python benchmarks/shipped_threshold.py MODEL PHOTOS`` embeds class folders, such as those of
``benchmarks/photographs.py``, and compares the false positive rate of their pairs with the rate that the artifact says.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import zoo
from zoo.inference.threshold import known_threshold
from zoo.metrics.open_set import fpir_at


def main() -> None:
    """Measure one artifact."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="artifact folder, run folder, or ORG/NAME")
    parser.add_argument("photos", type=Path, help="class folders that the model has never seen")
    options = parser.parse_args()
    model = zoo.load(options.model)
    shipped = known_threshold(model.path)
    paths = sorted(path for path in options.photos.glob("*/*") if path.is_file())
    embeddings = model.embed(paths)
    names, labels = np.unique([path.parent.name for path in paths], return_inverse=True)
    scores, same = _pairs(embeddings, labels)
    accepted = scores >= shipped.value
    realised, said = float(accepted[~same].mean()), float(shipped.fpr or 0)
    sizes = fpir_at(shipped.value, embeddings, labels, gallery_sizes=(1, 10, 100, 1000))
    result = {
        "threshold": shipped.value,
        "protocol": shipped.protocol,
        "said_fpr": said,
        "realised_fpr": realised,
        "realised_over_said": realised / said,
        "tpr": float(accepted[same].mean()),
        "threshold_at_said_fpr": float(np.quantile(scores[~same], 1 - said)),
        "said_fpir": shipped.expected_fpir,
        "realised_fpir": {size: rate for size, rate in sizes.items() if rate is not None},
        "classes": len(names),
        "images": len(paths),
        "impostor_pairs": int((~same).sum()),
    }
    print(json.dumps({"schema": 1, **result}, indent=2))


def _pairs(embeddings: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of each pair, and whether it is of one class."""
    first, second = np.triu_indices(len(labels), 1)
    return (embeddings @ embeddings.T)[first, second], labels[first] == labels[second]


if __name__ == "__main__":
    main()
