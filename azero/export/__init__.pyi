# The public names and where they live; at run time `lazy.attach_stub` reads this file.

from azero.export.array_files import JaxFunctions, jax_functions, jax_source, numpy_source
from azero.export.graphviz import graphviz_source
from azero.export.json_programs import from_json, json_text, num_classes_in
from azero.export.latex_text import latex
from azero.export.onnx_file import onnx_model
from azero.export.svg_diagram import diagram

__all__ = [
  "JaxFunctions", "diagram", "from_json", "graphviz_source", "jax_functions", "jax_source",
  "json_text", "latex", "num_classes_in", "numpy_source", "onnx_model",
]
