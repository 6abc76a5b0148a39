"""`ironclaw status`: how the running gateway is."""

import json
import sys

import click

from ironclaw.cli.client import Gateway, url_option


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="print the whole status as one JSON document")
@url_option
def command(as_json: bool, url: str | None) -> None:
    """Say how the running gateway is; exit code 1 when a part is not well."""
    gateway = Gateway.find(url)
    status = gateway.get("/api/status")
    if as_json:
        click.echo(json.dumps(status, ensure_ascii=False))
    else:
        usage = status["token_usage"]
        click.echo(f"{status['status']}: IronClaw {status['version']} on {status['host']}, {gateway.url}")
        click.echo(
            f"up {status['uptime_seconds']} s, {status['active_sessions']} clients, {status['active_jobs']} jobs"
        )
        click.echo(
            f"{usage['total_tokens']} tokens, ${usage['estimated_cost_usd']:.4f}; model {status['model']['model']}"
        )
        for name, part in status["parts"].items():
            if part["state"] != "ok":
                click.echo(f"{name}: {part['reason']}")
    sys.exit(0 if status["status"] == "healthy" else 1)
