"""What jobs may use, as the settings say it."""

from ironclaw.sandbox.protocol import Limits
from ironclaw.settings import Settings
from ironclaw.values import frozen


@frozen(kw_only=True)
class JobLimits:
    """What jobs may use: *each* one, its time in seconds, bytes of output, tokens of a task; and how many run at once.

    Ended jobs are kept for *keep_days*, as long as all together take no more than *keep_mb*.
    """

    each: Limits
    timeout_seconds: int
    output_mb: int
    tokens: int
    parallel: int
    keep_days: int
    keep_mb: int

    @classmethod
    def of(cls, settings: Settings) -> "JobLimits":
        """Those that *settings* name."""
        return cls(
            each=Limits(
                cpu_seconds=settings.job_cpu_seconds,
                memory_mb=settings.job_memory_mb,
                processes=settings.job_processes,
                file_mb=settings.job_file_mb,
                disk_mb=settings.job_disk_mb,
            ),
            timeout_seconds=settings.job_timeout,
            output_mb=settings.job_output_mb,
            tokens=settings.job_tokens,
            parallel=settings.jobs_parallel,
            keep_days=settings.jobs_keep_days,
            keep_mb=settings.jobs_keep_mb,
        )
