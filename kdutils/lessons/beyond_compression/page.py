"""What the parameters of notebook 06 may be."""


from kdutils.course.session import Session
from kdutils.errors import between, one_of, whole
from kdutils.lessons.beyond_compression import experiment
from kdutils.lessons.beyond_compression.experiment import BeyondCompression
from kdutils.objectives import METHODS


def parameters(
    session: Session, few: int = 100, noise: float = 0.4, temperature: float = 4.0, lens: str = "SP"
) -> BeyondCompression:
    """The experiment of the page at this session's scale; ParameterError for what a cell below could not run with."""
    one_of("lens", lens, METHODS)
    params = session.scaled(
        experiment,
        full=20,
        few=whole("few", few, 20, 1200),
        noise=between("noise", noise, 0, 1),
        temperature=between("temperature", temperature, 0.1, 100),
    )
    experiment.prepare(params)
    return params
