"""Published micrographs are read as they are."""

import numpy as np
import pytest

from model_library.images.readers import read_micrograph

FOLDERS = [
    ("em_bio_sem_axons_ads/sub-*/micr/*.png", 8),
    ("em_mat_coating_oxide_cracks_nasa/images/*.png", 17),
    ("em_bio_fibsem_fib25/validation_slices_520/*.png", 8),
    ("em_mat_superalloy_nasa/**/*.png", 36),
    ("em_highres_sr/images/*.tif", 3),
    ("em_mat_nanocomposite_agglomerates/**/*.jpg", 28),
]


@pytest.mark.parametrize(("pattern", "count"), FOLDERS)
def test_every_micrograph_of_a_folder_is_read(shared_data, pattern, count):
    paths = sorted(shared_data.glob(pattern))
    assert len(paths) == count
    for path in paths:
        pixels = read_micrograph(path).pixels
        assert pixels.ndim == 2
        assert pixels.dtype in (np.uint8, np.uint16)
        assert min(pixels.shape) >= 250
