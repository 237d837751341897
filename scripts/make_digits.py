"""Makes ``server/loopbench_server/engine/digits.npz`` from the copy of UCI's digits that scikit-learn carries.

Needs scikit-learn, which the project does not depend on otherwise. The file holds the 1,797 images of 8 by 8 pixels
(0 to 16) and their labels, in scikit-learn's order.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).parents[1] / "server/loopbench_server/engine/digits.npz"

if __name__ == "__main__":
    digits = load_digits()
    np.savez_compressed(TARGET, images=digits.images.astype(np.uint8), labels=digits.target.astype(np.uint8))
    print(f"{TARGET}: {digits.images.shape[0]} images")
