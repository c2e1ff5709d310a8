"""The commands that need no build: recipes, schema and demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceloom.pipelines.cli.output import REFUSED, Debug, Json, ending, show_blocks, write_json

app = typer.Typer()
recipes_app = typer.Typer(help="List the recipes that ship with faceloom, or print one.")
app.add_typer(recipes_app, name="recipes")


def complete_name(incomplete: str) -> list[str]:
    """Shell completion of the name of a shipped recipe."""
    from faceloom.pipelines.recipe.shipped import recipe_names

    return [name for name in recipe_names() if name.startswith(incomplete)]


@recipes_app.callback(
    invoke_without_command=True,
    epilog="Examples:\n\nfaceloom recipes\n\nfaceloom recipes --json\n\nfaceloom recipes show masked-pairs",
)
def list_recipes(context: typer.Context, as_json: Json = False, debug: Debug = False) -> None:
    """List the recipes that ship with faceloom, or print one."""
    if context.invoked_subcommand is not None:
        return
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.cli.summary import facts_table
        from faceloom.pipelines.recipe.load import load_recipe
        from faceloom.pipelines.recipe.shipped import recipe_folder, recipe_names

        described = {name: load_recipe(recipe_folder() / f"{name}.yaml").description for name in recipe_names()}
        if as_json:
            write_json(described)
        else:
            show_blocks([facts_table("Recipes", described)])


@recipes_app.command(
    epilog="Examples:\n\nfaceloom recipes show masked-pairs > my-recipe.yaml\n\n"
    "faceloom schema > recipe.schema.json\n\n"
    "The second command writes the schema that the first line of a recipe names, for editors that check YAML."
)
def show(
    name: Annotated[str, typer.Argument(autocompletion=complete_name, help="Name of a recipe that ships with it.")],
    debug: Debug = False,
) -> None:
    """Print a recipe as YAML, to read it or to start one of your own."""
    with ending(REFUSED, False, debug):
        from faceloom.pipelines.recipe.shipped import shipped_recipe

        typer.echo(shipped_recipe(name).read_text(encoding="utf-8"), nl=False)


@app.command(
    epilog="Examples:\n\nfaceloom schema > recipe.schema.json\n\n"
    "With `# yaml-language-server: $schema=recipe.schema.json` as its first line, editors complete and check a recipe."
)
def schema() -> None:
    """Print the JSON Schema of a recipe."""
    from faceloom.pipelines.recipe.schema import schema_text

    typer.echo(schema_text(), nl=False)


@app.command(epilog="Example:\n\nfaceloom demo photos")
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to write; created if missing.")], debug: Debug = False
) -> None:
    """Write a folder of sample photos: views of two public-domain portraits, and a few broken files."""
    with ending(REFUSED, False, debug):
        from faceloom.pipelines.demo import write_photos

        count = write_photos(folder)
        show_blocks([f"{count} files in {folder}: views of two public-domain portraits, and a few broken files"])
