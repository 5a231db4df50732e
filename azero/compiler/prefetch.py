"""`prefetch`: tells the processor what a kernel is going to read.

Memory answers a hundred times as slowly as a kernel computes. What a loop reads at places that no
processor can foresee, but that the loop itself knows ahead, it asks for before it needs it.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
import numpy as np

from azero.compiler.kernels import DISABLE_JIT

LINE = 64  # bytes that memory gives at once, about everywhere
_READ, _KEEP, _DATA = 0, 3, 1  # as LLVM counts them: for reading, in all caches, not code


def _prefetch_python(array: np.ndarray, place: tuple[int, ...]) -> None:
  """Nothing: it changes no result."""


@intrinsic
def _prefetch_compiled(_: Any, array: Any, place: Any) -> Any:
  """The instruction of the processor for it."""
  number = ir.IntType(32)
  pointer = ir.IntType(8).as_pointer()
  kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])

  def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    given = context.make_array(signature.args[0])(context, builder, arguments[0])
    element = cgutils.get_item_pointer(
        context, builder, signature.args[0], given, cgutils.unpack_tuple(builder, arguments[1]))
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(function, [
        builder.bitcast(element, pointer), number(_READ), number(_KEEP), number(_DATA)])
    return context.get_dummy_value()

  return types.void(array, place), generate


prefetch: Any = _prefetch_python if DISABLE_JIT else _prefetch_compiled
