"""The paths of this project; those of the queues among them."""

from __future__ import annotations

import json

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from lambdaqueue.integrations.django import mount
from shop.queues import lq, welcome


@csrf_exempt
@require_POST
def signup(request: HttpRequest) -> JsonResponse:
    """Push a job: curl -d '{"name": "Al"}' http://127.0.0.1:8000/signup"""
    item = welcome.push({"name": json.loads(request.body)["name"]})
    return JsonResponse({"id": item.id}, status=202)


urlpatterns = mount([path("signup", signup)], lq)
