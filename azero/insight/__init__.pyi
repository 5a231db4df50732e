# The public names and where they live; at run time `lazy.attach_stub` reads this file.

from azero.insight.ablation import Ablation, Ablations, ablate
from azero.insight.bench import Bench
from azero.insight.decoupling import Decoupling, decouple
from azero.insight.explanation import ExplainedLine, Explanation, explain
from azero.insight.knocking_in import KnockIn, knock_in
from azero.insight.mechanisms import find_mechanisms
from azero.insight.motifs import find_motifs
from azero.insight.simplification import Simplification, Step, simplify
from azero.insight.terms import Mechanism, Place
from azero.insight.tuning import TunedProgram, tune

__all__ = [
  "Ablation", "Ablations", "Bench", "Decoupling", "ExplainedLine", "Explanation", "KnockIn",
  "Mechanism", "Place", "Simplification", "Step", "TunedProgram", "ablate", "decouple", "explain",
  "find_mechanisms", "find_motifs", "knock_in", "simplify", "tune",
]
