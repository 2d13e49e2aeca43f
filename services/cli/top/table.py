"""A table that fits a terminal."""

from rich.table import Table


def new_table(title: str, *columns: str) -> Table:
    """Return a table that fits a terminal with 80 columns."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
