"""ONNX graphs: a pose joined in front of a network, so that one file is the mended model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from shiftproof.errors import RepairError
from shiftproof.printable import said

OPSET = 18  # of the graphs that are written


def joined(pose: bytes, network: Path) -> bytes:
    """The file of a network with a pose as its first part. It takes any number of pictures if that gives the same answers.

    Args:
        pose: an ONNX file with one input and one output.
        network: an ONNX file with one input, of the shape of the pose's output.

    Raises:
        RepairError: the two do not fit together.
    """
    import onnx
    from onnx import compose, version_converter

    try:
        rest: Any = onnx.load(str(network))
        front: Any = compose.add_prefix(onnx.load_from_string(pose), "pose_")
        if next(o.version for o in rest.opset_import if o.domain in ("", "ai.onnx")) != OPSET:
            rest = version_converter.convert_version(rest, OPSET)
        rest = compose.add_prefix(rest, "network_")
        wanted = _input(rest)
        del rest.graph.input[:]  # weights among the inputs would not be taken for constants
        rest.graph.input.append(wanted)
        rest.ir_version = front.ir_version = max(rest.ir_version, front.ir_version)
        found: Any = compose.merge_models(front, rest, io_map=[(front.graph.output[0].name, wanted.name)])
        batch = wanted.type.tensor_type.shape.dim[0].dim_value
        if batch:
            free = _freed(found, batch)
            found = free if _same(free, found, batch) else _fixed(found, batch)
        onnx.checker.check_model(found)
    except Exception as e:  # onnx raises many kinds
        raise RepairError(
            f"the pose cannot be put in front of the graph: {said(e)}",
            where=str(network),
            remedy="use the mended module from Python",
        ) from e
    return found.SerializeToString()


def _input(model: Any) -> Any:
    """The input of a graph; older files list their weights among the inputs, too."""
    known = {i.name for i in model.graph.initializer}
    (found,) = [i for i in model.graph.input if i.name not in known]
    return found


def _freed(model: Any, batch: int) -> Any:
    """A copy without the number of pictures, which exporters write into shapes: the first dimension is left to be found."""
    import onnx
    from onnx import numpy_helper

    found: Any = onnx.ModelProto()
    found.CopyFrom(model)
    shapes = {n.input[1] for n in found.graph.node if n.op_type == "Reshape" and n.name.startswith("network_")}
    for weights in found.graph.initializer:
        if weights.name in shapes:
            shape = numpy_helper.to_array(weights).copy()
            if len(shape) and shape[0] == batch and -1 not in shape:
                shape[0] = -1
                weights.CopyFrom(numpy_helper.from_array(shape, weights.name))
    del found.graph.value_info[:]  # shapes in between, which hold the number as well
    for value in [_input(found), *found.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    return found


def _fixed(model: Any, batch: int) -> Any:
    """The graph for the number of pictures that its network takes."""
    _input(model).type.tensor_type.shape.dim[0].dim_value = batch
    return model


def _same(free: Any, fixed: Any, batch: int) -> bool:
    """Whether a graph for any number of pictures gives the answers of the one for a fixed number."""
    import onnxruntime

    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # that a number does not fit is an answer here
        one, any_number = (
            onnxruntime.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"])
            for m in (fixed, free)
        )
        name = one.get_inputs()[0].name
        size = [d.dim_value for d in _input(free).type.tensor_type.shape.dim[1:]]
        x = np.random.default_rng(0).random((3 * batch, *size), np.float32)
        parts = [np.asarray(one.run(None, {name: p})[0]) for p in np.split(x, 3)]
        whole = np.asarray(any_number.run(None, {name: x})[0])
        return bool(np.allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6))
    except Exception:  # onnxruntime raises many kinds: then the number stays fixed
        return False
