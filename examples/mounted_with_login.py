"""A host program with a login of its own that serves the gateway below /claw.

    python examples/mounted_with_login.py

prints a password and an address; whoever signs in there uses the page and the API below /claw/ by the host's cookie.
A token of the gateway is not needed, and none is accepted. PORT is another port than 8080. What the gateway keeps is in
~/.ironclaw-mounted. Serve it over TLS (a proxy will do), and add `secure=True` to the cookie, before others can reach it.
"""

import os
import secrets
from pathlib import Path

from aiohttp import web

from ironclaw import Gateway, Principal, Settings

PASSWORD = os.environ.get("PASSWORD") or secrets.token_urlsafe(9)
COOKIE = "session"
SIGN_IN = """<!doctype html><html lang="en"><title>Sign in</title>
<form method="post" action="/login"><label>Password <input name="password" type="password" autofocus></label>
<button>Sign in</button></form></html>"""
HOME = """<!doctype html><html lang="en"><title>Host</title><p>You are signed in.
<p><a href="/claw/">Talk to the agent</a></html>"""

sessions: set[str] = set()


def authenticate(request: web.Request) -> Principal | None:
    """Who a request below /claw speaks for; None refuses it. May be `async`."""
    return Principal("owner") if request.cookies.get(COOKIE) in sessions else None


async def home(request: web.Request) -> web.Response:
    """The host's own page."""
    return web.Response(text=HOME if authenticate(request) else SIGN_IN, content_type="text/html")


async def log_in(request: web.Request) -> web.Response:
    """Start a session for who knows the password."""
    given = (await request.post()).get("password")
    if not isinstance(given, str) or not secrets.compare_digest(given.encode(), PASSWORD.encode()):
        return web.Response(text="That is not the password.", status=403)
    session = secrets.token_urlsafe()
    sessions.add(session)
    response = web.Response(status=303, headers={"Location": "/"})
    response.set_cookie(COOKIE, session, httponly=True, samesite="Lax")
    return response


def build() -> web.Application:
    """The host: two routes of its own, and the gateway."""
    host = web.Application()
    host.router.add_get("/", home)
    host.router.add_post("/login", log_in)
    settings = Settings(home=Path.home() / ".ironclaw-mounted")
    Gateway(settings, authenticate=authenticate).mount(host, "/claw")
    return host


if __name__ == "__main__":
    print(f"Password: {PASSWORD}", flush=True)
    web.run_app(build(), host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
