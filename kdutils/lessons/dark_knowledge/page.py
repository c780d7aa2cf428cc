"""What the parameters of notebook 01 may be."""

from kdutils.course.session import Session
from kdutils.errors import each_between, filled, whole
from kdutils.lessons.dark_knowledge import experiment
from kdutils.lessons.dark_knowledge.experiment import DarkKnowledge


def parameters(
    session: Session,
    temperatures: tuple[float, ...] = (1, 2, 4, 8, 16, 32),
    transfer_sizes: tuple[int, ...] = (50, 100, 1200),
    omitted: int = 3,
    example_digit: int = 3,
) -> DarkKnowledge:
    """The experiment of the page at this session's scale; ParameterError for what a cell below could not run with."""
    whole("example_digit", example_digit, 0, 9)
    params = DarkKnowledge(
        seeds=session.pick(smoke=3, lecture=20, full=40),
        steps=session.pick(smoke=200, lecture=600, full=600),
        transfer_sizes=filled("transfer_sizes", transfer_sizes),
        temperatures=each_between("temperatures", temperatures, 0.1, 100),
        omitted=whole("omitted", omitted, 0, 9),
        seed=session.seed,
        device=session.device,
    )
    experiment.prepare(params)
    return params
