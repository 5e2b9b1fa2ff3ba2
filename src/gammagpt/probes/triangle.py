"""A symmetric matrix from the triangle that a record keeps of it; it needs no torch."""

import math

import numpy as np


def full_matrix(values: list[float]) -> np.ndarray:
    """(A, A), symmetric with ones on the diagonal, of its upper triangle."""
    size = round((1 + math.sqrt(1 + 8 * len(values))) / 2)
    matrix = np.eye(size)
    matrix[np.triu_indices(size, 1)] = values
    return np.maximum(matrix, matrix.T) + np.minimum(matrix, matrix.T) - np.eye(size)
