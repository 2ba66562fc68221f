from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 1


@hookimpl
def zoo_components():
    return [
        ComponentSpec(
            kind="backbone",
            name="convnet",
            factory="plugzoo_swatch.networks:ConvNet",
            summary="three strided convolutions",
            license="MIT",
        ),
        ComponentSpec(
            kind="head", name="pool", factory="plugzoo_swatch.networks:PoolHead", summary="mean and deviation, linear"
        ),
        ComponentSpec(
            kind="export_wrapper",
            name="WarpFeatureLearning",
            factory="plugzoo_swatch.export:WarpFeatureLearning",
            summary="backbone and head, as they are",
        ),
    ]
