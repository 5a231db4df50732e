"""A Ray of this machine's own, in a process of its own; ends when its standard input does.

Ray forks when it starts, which a process in which JAX has threads must not do. So a search
starts Ray here and connects to it, see `ray_runtime`:

    python -m azero.distributed.ray_head CORES
"""

import sys

from azero.distributed.ray_runtime import import_ray


def main(cores: int) -> None:
  """Starts Ray, prints its address, and keeps it until nobody needs it any more."""
  ray = import_ray()
  context = ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False)
  print(f"address {context.address_info['gcs_address']}", flush=True)
  sys.stdin.read()
  ray.shutdown()


if __name__ == "__main__":
  main(int(sys.argv[1]))
