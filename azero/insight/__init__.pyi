# The public names and where they live; at run time `lazy.attach_stub` reads this file.

from azero.insight.ablation import Ablation, Ablations, ablate
from azero.insight.bench import Bench
from azero.insight.explanation import ExplainedLine, Explanation, explain
from azero.insight.mechanisms import find_mechanisms
from azero.insight.motifs import find_motifs
from azero.insight.simplification import Simplification, Step, simplify
from azero.insight.terms import Mechanism, Place

__all__ = [
  "Ablation", "Ablations", "Bench", "ExplainedLine", "Explanation", "Mechanism", "Place",
  "Simplification", "Step", "ablate", "explain", "find_mechanisms", "find_motifs", "simplify",
]
