"""CZI and OME-Zarr written from their specifications, as no writer of ours makes them."""

import struct

import pytest


def segment(kind, content):
    return struct.pack("<16sqq", kind, len(content), len(content)) + content


def entry(pixel_type, compression, position, axes):
    head = struct.pack("<2siqiiB5xi", b"DV", pixel_type, position, 0, compression, 0, len(axes))
    return head + b"".join(
        struct.pack("<4siifi", axis.encode(), start, length, 0.0, stored)
        for axis, start, length, stored in axes
    )


def czi(planes, pixel_type, compression=0, encode=bytes, more=()):
    """A CZI of planes {(time, channel, depth): pixels}, or of more entries with their bytes."""
    content, entries = segment(b"ZISRAWFILE", bytes(512)), []
    blocks = [
        (
            [
                ("X", 0, p.shape[1], p.shape[1]),
                ("Y", 0, p.shape[0], p.shape[0]),
                *(("T", t, 1, 1), ("C", c, 1, 1), ("Z", z, 1, 1)),
            ],
            encode(p.tobytes()),
        )
        for (t, c, z), p in planes.items()
    ]
    for axes, data in [*blocks, *more]:
        told = entry(pixel_type, compression, len(content), axes)
        head = struct.pack("<iiq", 0, 0, len(data)) + told
        entries.append(told)
        content += segment(b"ZISRAWSUBBLOCK", head.ljust(256, b"\0") + data)
    directory_at = len(content)
    content += segment(
        b"ZISRAWDIRECTORY", struct.pack("<i", len(entries)).ljust(128, b"\0") + b"".join(entries)
    )
    metadata_at = len(content)
    scaling = "".join(
        f'<Distance Id="{axis}"><Value>{value}</Value></Distance>'
        for axis, value in (("X", "4e-09"), ("Y", "5E-9"), ("Z", "3.0e-8"))
    )
    content += segment(b"ZISRAWMETADATA", bytes(256) + f"<Metadata>{scaling}</Metadata>".encode())
    return content[:84] + struct.pack("<qq", directory_at, metadata_at) + content[100:]


def ome_zarr(folder, pixels, *, version, axes="tczyx", unit="micrometer"):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(folder, mode="w", zarr_format=2 if version == "0.4" else 3)
    levels = [pixels, pixels[..., ::2, ::2]]
    for number, level in enumerate(levels):
        array = group.create_array(str(number), shape=level.shape, dtype=level.dtype, chunks=level.shape)
        array[...] = level
    spatial = {"z": 0.03, "y": 0.005, "x": 0.004}
    multiscales = [
        {
            "name": "grains",
            "axes": [{"name": axis, **({"unit": unit} if axis in spatial else {})} for axis in axes],
            "datasets": [
                {
                    "path": str(number),
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [spatial.get(axis, 1.0) / 2 for axis in axes]}
                    ],
                }
                for number in range(2)
            ],
            "coordinateTransformations": [{"type": "scale", "scale": [2.0] * len(axes)}],
        }
    ]
    told = {"multiscales": multiscales, "version": version}
    group.attrs.update(told if version == "0.4" else {"ome": told})
    return folder
