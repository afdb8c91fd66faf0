"""The frame of every HTML page that lingjax writes: one self-contained file, style and the one script inside it."""

import base64
import hashlib
import html
import importlib.resources


def as_page(title: str, body: str) -> str:
    """Returns the page.

    Its Content Security Policy lets nothing be fetched and nothing run but `page.js`, so that even a text which slipped
    through escaping could do neither.

    Args:
      title: plain text.
      body: HTML whose texts are escaped.
    """
    css, script = _read("page.css"), _read("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n{body}"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _read(name: str) -> str:
    return importlib.resources.files("lingjax.reporting").joinpath(name).read_text(encoding="utf-8")
