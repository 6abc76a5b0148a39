"""The routes of backups."""

from ironclaw.api.route import Route, route

ROWS: tuple[Route, ...] = (
    route(
        "backup", "GET", "/api/backups", "backup.list_backups", "The backups that there are.", reply="backup.BackupList"
    ),
    route(
        "backup",
        "POST",
        "/api/backups",
        "backup.make_backup",
        "Make a backup now, without secrets.",
        reply="backup.Backup",
        status=201,
    ),
)
