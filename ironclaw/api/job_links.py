"""The address of a job's files that a person can click: absolute and signed. What it shows: `job_files.py`."""

from aiohttp import web

from ironclaw.api.keys import SERVICES


def browse_url(request: web.Request, job_id: str) -> str:
    """Where a browser finds the files: below GATEWAY_PUBLIC_URL, else the address that was asked."""
    services = request.app[SERVICES]
    return f"{services.settings.public_url or _asked(request)}/{services.jobs.links.path(job_id)}"


def prefix(request: web.Request) -> str:
    """Where the application is mounted, for a route of jobs; empty for nowhere."""
    return request.path.partition("/api/jobs")[0]


def _asked(request: web.Request) -> str:
    host = request.headers.get("Host")  # its form was checked
    if not host:
        name = request.transport.get_extra_info("sockname") if request.transport is not None else None
        host = f"localhost:{name[1]}" if isinstance(name, tuple) else "localhost"
    return f"{request.scheme}://{host}{prefix(request)}"
