"""How the page looks: theme, styles, HTML."""
