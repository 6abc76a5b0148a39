"""The routes of jobs."""

from ironclaw.api.requests import PICTURES_LIMIT
from ironclaw.api.route import EVENT_STREAMS, Route, route

_ONE = "/api/jobs/{id:(?!list$)[^/{}]+}"  # `list` is a path of its own, and no job

ROWS: tuple[Route, ...] = (
    route(
        "jobs",
        "GET",
        "/api/jobs/list",
        "jobs.list_jobs",
        "The jobs, the newest first.",
        query="jobs.JobsQuery",
        reply="jobs.JobList",
    ),
    route("jobs", "GET", "/api/jobs", "jobs.list_jobs", "The same.", query="jobs.JobsQuery", reply="jobs.JobList"),
    route(
        "jobs",
        "POST",
        "/api/jobs",
        "jobs.launch",
        "Start a command or an agent task in a sandbox; ?wait for its end.",
        body="jobs.JobRequest",
        query="jobs.LaunchQuery",
        reply="jobs.JobDetails",
        status=201,
        most=PICTURES_LIMIT,
    ),
    route(
        "jobs", "GET", "/api/jobs/{id}", "jobs.details", "A job and its output.", reply="jobs.JobDetails", pattern=_ONE
    ),
    route(
        "jobs", "DELETE", "/api/jobs/{id}", "jobs.delete", "Forget an ended job.", reply="jobs.JobStatus", pattern=_ONE
    ),
    route("jobs", "POST", "/api/jobs/{id}/stop", "jobs.stop", "End a job.", reply="jobs.JobStatus"),
    route(
        "jobs",
        "POST",
        "/api/jobs/{id}/restart",
        "jobs.restart",
        "Start a new job that does what an ended one did.",
        query="jobs.LaunchQuery",
        reply="jobs.JobDetails",
        status=201,
    ),
    route(
        "jobs",
        "GET",
        "/api/jobs/{id}/logs",
        "job_logs.logs",
        "A job's output as text; ?follow=1 live, by Accept as events with the byte behind each as their id.",
        query="job_logs.LogsQuery",
        streams=EVENT_STREAMS,
        also=("text/plain", "application/octet-stream"),
    ),
    route(
        "jobs",
        "GET",
        "/api/jobs/{id}/files/list",
        "job_files.list_files",
        "What is in a folder of a job's files.",
        query="job_files.JobFolderQuery",
        reply="job_files.JobFileList",
    ),
    route(
        "jobs",
        "GET",
        "/api/jobs/{id}/files/read",
        "job_files.read_file",
        "The bytes of a job's file, with ETag and Range.",
        query="job_files.JobFileQuery",
        also=("*/*",),
    ),
    route(
        "jobs",
        "GET",
        "/api/jobs/{id}/browse/{signature}/{path}",
        "job_files.browse",
        "A job's files as pages, for whoever has the signed link (browse_url).",
        open=True,
        pattern="/api/jobs/{id}/browse/{signature}/{path:.*}",
        also=("*/*",),
    ),
)
