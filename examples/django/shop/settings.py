"""Settings for a try on one's own machine."""

from __future__ import annotations

ALLOWED_HOSTS: list[str] = []
DATABASES: dict[str, object] = {}
DEBUG = True
INSTALLED_APPS: list[str] = []
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "shop.urls"
SECRET_KEY = "only for a try"
USE_TZ = True
WSGI_APPLICATION = "shop.wsgi.application"
