"""The figure library of a page: Vega, Vega-Lite and Vega-Embed, which draw in the browser.

vl-convert-python holds them (BSD-3-Clause, 0.9 MB as one script) and needs no network. To put the
script together takes seconds, so it is kept on the disk.
"""

from importlib import metadata

from azero import files, lazy, paths


def script() -> str:
  """The library as one script, fit to stand inside HTML.

  Raises:
    MissingPackageError: vl-convert-python is not installed.
  """
  lazy.require("vl_convert", extra="report", purpose="The figures of a report")
  import vl_convert

  name = f"vega-{vl_convert.get_vega_version()}-{metadata.version('vl-convert-python')}.js"
  path = paths.cache_directory() / "report" / name
  if path.exists():
    return path.read_text(encoding="utf-8")
  text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
  text = text.replace("</script", "<\\/script")
  path.parent.mkdir(parents=True, exist_ok=True)
  files.write_whole(path, text.encode())
  return text
