# The public names and where they live; at run time `lazy.attach_stub` reads this file.

from azero.report.page import Report, read

__all__ = ["Report", "read"]
