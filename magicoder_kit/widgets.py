"""What a person looks at and clicks. Without a front end (papermill) every widget is its first page, as HTML."""

import html
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from magicoder_kit.records import Row

HEADLESS = "MAGICODER_KIT_HEADLESS"
"""Environment variable ``magicoder-kit run`` sets: nobody is there to click."""

_TEXT = (
    "white-space:pre-wrap;font-size:12px;margin:2px 0 10px;padding:6px 8px;"
    "border-left:3px solid #9aa5b1;text-align:left"
)


def headless() -> bool:
    """Tell whether nobody is there to click."""
    return bool(os.environ.get(HEADLESS))


def source(fn: Callable[..., Any]) -> Any:
    """Show a function's own source, collapsed."""
    from IPython.display import HTML
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    code = highlight(inspect.getsource(fn), PythonLexer(), HtmlFormatter(noclasses=True, nobackground=True))
    name = f"{fn.__module__}.{fn.__qualname__}"
    return HTML(f"<details><summary>How <code>{name}</code> works: its source</summary>{code}</details>")


def show(row: Mapping[str, Any], columns: Sequence[str] = ()) -> Any:
    """Show a row in full, one column under the other."""
    from IPython.display import HTML

    return HTML(_page(row, columns or tuple(row)))


def browse(
    rows: Sequence[Row], columns: Sequence[str], *, title: str = "row", page: Callable[[Row], str] | None = None
) -> Any:
    """Page through rows with a slider; without a front end, the first row in full.

    Parameters
    ----------
    rows : sequence of dict
        What to page through.
    columns : sequence of str
        The columns shown, in this order.
    title : str
        What one row is called beside the slider.
    page : callable, optional
        Returns a row's page (HTML) in place of its columns one under the other; ``""`` leaves it to them.
    """
    from IPython.display import HTML

    def shown(row: Row) -> str:
        return (page(row) if page else "") or _page(row, columns)

    if not rows:
        return HTML(f"<em>There is no {html.escape(title)} to show.</em>")
    if headless() or len(rows) == 1:
        return HTML(f"<p>{html.escape(title)} 1 of {len(rows)}</p>{shown(rows[0])}")
    import ipywidgets

    slider = ipywidgets.IntSlider(1, 1, len(rows), description=title, layout={"width": "60%"})
    text = ipywidgets.HTML(shown(rows[0]))
    slider.observe(lambda change: setattr(text, "value", shown(rows[change["new"] - 1])), names="value")
    return ipywidgets.VBox([slider, text])


def prompt_lab(snippets: Sequence[Row], variants: Sequence[str], ask: Callable[[str, Row], Row]) -> Any:
    """Pick a snippet and a prompt variant, ask the teacher, read the response.

    Parameters
    ----------
    snippets : sequence of dict
        Rows with ``lang`` and ``seed``.
    variants : sequence of str
        Names of prompt variants.
    ask : callable
        Takes a variant and a snippet and returns a row to show.

    Returns
    -------
    object
        The widget; without a front end, the first snippet, and nothing is asked.
    """
    if headless():
        return show(snippets[0], ["lang", "seed"])
    import ipywidgets

    variant = ipywidgets.Dropdown(options=list(variants), description="prompt")
    number = ipywidgets.IntSlider(1, 1, len(snippets), description="snippet")
    button = ipywidgets.Button(description="Ask the teacher", button_style="primary")
    page = ipywidgets.HTML(_page(snippets[0], ["lang", "seed"]))

    def show_snippet(_: object) -> None:
        page.value = _page(snippets[number.value - 1], ["lang", "seed"])

    def show_answer(_: object) -> None:
        snippet = snippets[number.value - 1]
        page.value = _page(snippet, ["lang", "seed"]) + "<em>waiting for the teacher …</em>"
        answer = ask(variant.value, snippet)
        page.value = _page(snippet, ["lang", "seed"]) + _page(answer, tuple(answer))

    number.observe(show_snippet, names="value")
    button.on_click(show_answer)
    return ipywidgets.VBox([ipywidgets.HBox([variant, number, button]), page])


def live_loss() -> Callable[[Row], None]:
    """Return a function that takes training log rows and keeps one loss curve up to date below the cell."""
    from IPython.display import display

    from magicoder_kit.analysis import figures

    log: list[Row] = []
    shown: list[Any] = []

    def add(row: Row) -> None:
        log.append(row)
        if headless():
            return  # A saved notebook keeps the final curve, which the next cell shows.
        figure = figures.loss_curve(log, title="Loss so far")
        if shown:
            shown[0].update(figure)
        else:
            shown.append(display(figure, display_id=True))

    return add


def trained_tokens(tokens: Sequence[tuple[str, bool]], *, most: int = 400) -> Any:
    """Show a training row with the tokens the loss counts marked.

    Parameters
    ----------
    tokens : sequence of (str, bool)
        Text of each token, and whether the loss counts it.
    most : int
        Tokens shown.
    """
    from IPython.display import HTML

    marked = "".join(
        f'<span style="background:#cfe8ff;color:#102a43">{html.escape(text)}</span>' if trained else html.escape(text)
        for text, trained in tokens[:most]
    )
    counted = sum(trained for _, trained in tokens)
    caption = f"<p>{counted} of {len(tokens)} tokens count for the loss (marked)</p>"
    return HTML(f'{caption}<pre style="{_TEXT}">{marked}{" …" if len(tokens) > most else ""}</pre>')


def _page(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return "".join(
        f'<strong>{html.escape(name)}</strong><pre style="{_TEXT}">{html.escape(str(row[name]))}</pre>'
        for name in columns
    )
