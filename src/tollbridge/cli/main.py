"""The `tollbridge` command."""

import typer

from tollbridge.cli import db, environments, groups, keys, ledger, models, packs
from tollbridge.cli.checks import config_app, doctor
from tollbridge.cli.reload import reload
from tollbridge.cli.serve import serve

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A self-hosted AI gateway: any client to any model, paid from prepaid packs.",
)
app.command("serve")(serve)
app.command("reload")(reload)
app.add_typer(environments.app, name="env")
app.add_typer(keys.app, name="key")
app.add_typer(models.app, name="model")
app.add_typer(groups.app, name="group")
app.add_typer(packs.app, name="pack")
app.command("usage")(ledger.usage)
app.add_typer(ledger.app, name="ledger")
app.add_typer(db.app, name="db")
app.add_typer(config_app, name="config")
app.command("doctor")(doctor)


def main() -> None:
    """Entry of the console script."""
    app(prog_name="tollbridge")  # however it was started
