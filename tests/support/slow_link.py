"""Carries packets between two network devices, each later and some never, in both directions.

What `tc netem` does, for kernels without it: python slow_link.py DEVICE DEVICE SECONDS LOSS
"""

import contextlib
import heapq
import random
import select
import socket
import sys
import time

_ALL = 3  # packets of every protocol
_SOL_PACKET, _VIRTUAL_HEADER, _IGNORE_OUTGOING = 263, 15, 23  # of linux/if_packet.h
_ROOM = 1 << 17  # bytes, of a packet that no device has split yet


def open_device(name: str) -> socket.socket:
  """All that a device receives, with what it leaves to others: splitting and check sums."""
  device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
  device.setsockopt(_SOL_PACKET, _VIRTUAL_HEADER, 1)
  device.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
  device.bind((name, _ALL))
  return device


def carry(first: str, second: str, seconds: float, loss: float) -> None:
  """Does it until it is killed."""
  devices = [open_device(first), open_device(second)]
  other = {devices[0]: devices[1], devices[1]: devices[0]}
  rng = random.Random(0)
  late: list[tuple[float, int, socket.socket, bytes]] = []
  number = 0  # so that packets of one moment keep their order
  while True:
    wait = max(0.0, late[0][0] - time.monotonic()) if late else None
    for device in select.select(devices, [], [], wait)[0]:
      packet, number = device.recv(_ROOM), number + 1
      if rng.random() >= loss:
        heapq.heappush(late, (time.monotonic() + seconds, number, other[device], packet))
    while late and late[0][0] <= time.monotonic():
      *_, device, packet = heapq.heappop(late)
      with contextlib.suppress(OSError):  # a device without room loses it, too
        device.send(packet)


if __name__ == "__main__":
  carry(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
