"""One recipe per notebook: a frozen dataclass of parameters, and run(params) -> Results."""
