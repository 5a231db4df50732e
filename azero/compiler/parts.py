"""How Numba is made to compile host code in less time: parts once, and short loops as they are.

Numba optimises every function, makes machine code of it, and then does so once more for each
function that calls it. Where only other compiled functions call one, the first is in vain, and was
a third of the time that host code needed at its first start. A function with `PartCompiler` as its
pipeline is translated only; it is optimised, and becomes machine code, inside those that call it.

Those have `KernelCompiler`. Kernels are many short loops over the instructions of one program. LLVM
unrolls and vectorises each of them, which took half of the time that azero's method needs and made
the code twice as long, but no faster.

For `azero.compiler.kernels`. This goes deeper into Numba than what it documents for a
`pipeline_class`, so pyproject.toml bounds its version.
"""

import importlib
from typing import Any

import llvmlite.binding as llvm
from numba.core import compiler
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

_Library: Any = JITCodeLibrary
_Lowering: Any = NativeLowering
_Compiler: Any = compiler.CompilerBase
_numba: Any = compiler
_dynfunc: Any = importlib.import_module("numba._dynfunc")


class _PartLibrary(_Library):
  """Code of a function and of those that it calls, for others to link."""

  def finalize(self) -> None:
    """Links what the function calls; nothing is optimised, and nothing becomes machine code."""
    self._raise_if_finalized()
    for library in dict.fromkeys(self._linking_libraries):
      self._reload_init.update(library._reload_init)
      self._final_module.link_in(library._get_module_for_linking(), preserve=True)
    self._finalize_dynamic_globals()
    self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(_Lowering):
  """Translates a function into a library for others."""

  _name = "part_lowering"

  def run_pass(self, state: Any) -> bool:
    """Does what Numba's own pass does, but for the machine code."""
    target, name = state.targetctx, state.func_id.func_qualname
    state.library = _PartLibrary(target.codegen(), name)
    state.flags.no_compile = True
    super().run_pass(state)
    state.library.finalize()
    result = state["cr"]
    # Numba knows functions by what Python would call; this one Python never calls.
    function = _dynfunc.make_function(
        result.fndesc.lookup_module(), name, "", 0, result.env, (state.library,))
    target.insert_user_function(function, result.fndesc, [state.library])
    state["cr"] = _numba._LowerResult(
        result.fndesc, result.call_helper, cfunc=function, env=result.env)
    return True


class _KernelLibrary(_Library):
  """Code of a kernel and of all its parts."""

  def _optimize_final_module(self) -> None:
    """Does what Numba's own does, but neither unrolls nor vectorises, nor prepares for that.

    References are not counted in kernels (`_nrt`), so that there are none to prune.
    """
    for level in (self._codegen._opt_level, _numba.config.OPT):
      options = llvm.create_pipeline_tuning_options(speed_level=int(level))
      options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
      builder = llvm.create_pass_builder(self._codegen._tm, options)
      builder.getModulePassManager().run(self._final_module, builder)


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(_Lowering):
  """Translates a kernel into machine code."""

  _name = "kernel_lowering"

  def run_pass(self, state: Any) -> bool:
    """Does what Numba's own pass does, with another library."""
    state.library = _KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
    state.library.enable_object_caching()
    return bool(super().run_pass(state))


class _LoweredBy(_Compiler):
  """Numba's pipeline with another pass at its end."""

  _lowering: type[_Lowering]

  def define_pipelines(self) -> list[Any]:
    """The one pipeline that there is."""
    pipeline = _numba.DefaultPassBuilder.define_nopython_pipeline(self.state)
    pipeline.passes = [
        (self._lowering if each is NativeLowering else each, what)
        for each, what in pipeline.passes]
    pipeline.finalize()
    return [pipeline]


class PartCompiler(_LoweredBy):
  """For a function that only compiled functions call: without machine code."""

  _lowering = _PartLowering


class KernelCompiler(_LoweredBy):
  """For a function that Python calls."""

  _lowering = _KernelLowering
