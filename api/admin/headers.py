"""What every answer of the panel tells the browser: run nothing foreign, show it nowhere else."""

from __future__ import annotations

from flask import Flask, Response, request

__all__ = ["HEADERS", "POLICY", "STATIC", "install", "is_panel"]

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers then send `Origin: null` with forms, which nobody can tell apart.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

STATIC = "admin.static"
"""It says by itself for how long its files may be kept."""


def install(app: Flask) -> None:
    """Let all of `app`'s answers below /admin have them, also those without a page."""

    @app.after_request
    def strict(response: Response) -> Response:
        if not is_panel(request.path):
            return response
        response.headers.update(HEADERS)
        if request.endpoint != STATIC or response.status_code >= 400:
            response.headers["Cache-Control"] = "no-store"
        return response


def is_panel(path: str) -> bool:
    """Tell whether a path is the panel's."""
    return path == "/admin" or path.startswith("/admin/")
