"""What the parameters of notebook 00 may be."""

from kdutils.course.session import Session
from kdutils.errors import between, whole
from kdutils.lessons.start_here import experiment
from kdutils.lessons.start_here.experiment import StartHere


def parameters(session: Session, transfer: int = 100, temperature: float = 4.0) -> StartHere:
    """The experiment of the page at this session's scale; ParameterError for what a cell below could not run with."""
    params = StartHere(
        seeds=session.pick(smoke=3, lecture=12, full=24),
        transfer=whole("transfer", transfer, 1, 1200),
        temperature=between("temperature", temperature, 0.5, 32),
        seed=session.seed,
    )
    experiment.prepare(params)
    return params
