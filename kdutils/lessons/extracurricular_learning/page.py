"""What the parameters of notebook 05 may be."""


from kdutils.course.session import Session
from kdutils.errors import between, each_whole
from kdutils.lessons.extracurricular_learning import experiment
from kdutils.lessons.extracurricular_learning.experiment import ExtracurricularLearning


def parameters(
    session: Session,
    gaze_sizes: tuple[int, ...] = (100, 300),
    digit_sizes: tuple[int, ...] = (20, 50),
    views: tuple[int, ...] = (1, 2, 5, 10, 50),
    share: float = 0.9,
    temperature: float = 2.0,
) -> ExtracurricularLearning:
    """The experiment of the page at this session's scale; ParameterError for what a cell below could not run with."""
    params = session.scaled(
        experiment,
        full=24,
        gaze_sizes=each_whole("gaze_sizes", gaze_sizes, 10, 300),
        digit_sizes=each_whole("digit_sizes", digit_sizes, 10, 1200),
        views=each_whole("views", views, 1, 1000),
        share=between("share", share, 0, 1),
        temperature=between("temperature", temperature, 0.1, 100),
    )
    experiment.prepare(params)
    return params
