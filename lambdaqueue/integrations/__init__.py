"""How handlers get into an application: a module for each web framework and platform.

Two names are the same in all of them:

    app = mount(app, lq)      beside an application that is there: it gets what isn't ours
    app = handler(lq)         there is none: deliveries are all that comes here

`lq` is a `LambdaQueue`, for all its queues that have a handler, each at its own path; or one
`Queue`. Queues and handlers may be declared before or after. `prefix="/app"` says what paths begin
with where LQ_BASE_URL ends in it and nobody takes it off. Nothing else of the application is
touched: not its routes, nor its 404 and 500, nor what it does with other requests.

module          for                                            `mount` takes           `handler`
flask           Flask                                          the Flask               no
django          Django                                         urlpatterns             no
starlette       Starlette, FastAPI                             the Starlette, FastAPI  no
wsgi            any WSGI server or framework                   a WSGI application      yes
asgi            any ASGI server or framework                   an ASGI application     yes
aws_lambda      function URL, API Gateway, load balancer       a Lambda function       yes
google_cloud    Cloud Run functions, functions-framework       an HTTP function        yes
vercel          files in api/                                  there is no `mount`     yes

What is alike, too: the body is read as bytes and stays as it is, at most `Endpoint.max_body` of
it; HEAD is answered, since it validates the endpoint; a slash at the end of the path makes no
difference, the query makes none; 404, 405, 411 and 413 are JSON. Each module imports its own
framework and no other.
"""

from __future__ import annotations

__all__: list[str] = []
