"""What the parameters of notebook 02 may be."""


from kdutils.course.session import Session
from kdutils.errors import between, each_between, whole
from kdutils.lessons.tolerant_teachers import experiment
from kdutils.lessons.tolerant_teachers.parameters import TolerantTeachers


def parameters(
    session: Session,
    etas: tuple[float, ...] = (0, 0.3, 0.6, 0.9, 1.2),
    ranks: int = 5,
    label_weight: float = 0.5,
    example_digit: int = 3,
) -> TolerantTeachers:
    """The experiment of the page at this session's scale; ParameterError for what a cell below could not run with."""
    whole("example_digit", example_digit, 0, 9)
    params = session.scaled(
        experiment,
        full=40,
        etas=each_between("etas", etas, 0, 100),
        ranks=ranks,
        label_weight=between("label_weight", label_weight, 0, 1),
    )
    experiment.prepare(params)
    return params
