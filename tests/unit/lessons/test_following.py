"""Labs of lessons 04 to 06 whose answers follow a control: none is of two settings."""

import pytest
from helpers import until

from kdutils.lessons.beyond_compression.panels.long_tail import LongTail
from kdutils.lessons.beyond_compression.panels.poison_labels import PoisonLabels
from kdutils.lessons.extracurricular_learning.panels.gaze_lab import GazeLab
from kdutils.lessons.spherical_distillation.panels.confidence_meter import ConfidenceMeter

# A small panel, the control that moves and its values; where an answer says which it had.
LABS = {
    "poison": (lambda: PoisonLabels(seeds=2, steps=40, images=60), "noise", (0.0, 0.4, 0.8), lambda answer: answer.x),
    "long tail": (lambda: LongTail(seeds=2, steps=40), "gamma", (0.2, 1.0, 5.0), lambda answer: answer.x),
    "gaze": (lambda: GazeLab(seeds=2, steps=40, labels=80, own=30, teacher_steps=40), "queries", (50, 200, 800),
             lambda answer: answer.queries),
    "meter": (lambda: ConfidenceMeter(seeds=2, steps=40, teacher_steps=40, width=32), "temperature", (1.0, 4.0, 16.0),
              lambda answer: answer.temperature),
}


@pytest.mark.parametrize("name", LABS)
def test_a_value_that_moves_during_a_run_to_an_answer_is_the_next_answers(name):
    """Whichever half of a run reads the controls anew: its answer would be of two settings, or say the wrong one."""
    make, control, (first, second, third), told = LABS[name]
    panel = make()
    assert panel.widget
    panel.set(**{control: first})
    panel.train(fast=True)
    assert until(lambda: panel.runner.at is not None)
    panel.set(**{control: second})
    assert panel.wait(60) and told(panel.answers[-1]) == pytest.approx(first)
    panel.inputs[control].value = third         # by hand: answered at once, or when it is let go
    assert until(lambda: told(panel.answers[-1]) == pytest.approx(third) and not panel.runner.busy)
    followed = {told(answer): answer.gain for answer in panel.answers}
    for value in (first, third):
        panel.set(**{control: value})
        panel.run()
        again = panel.answers[-1]
        assert again.gain == followed[told(again)] and not getattr(again, "mixed", False)
    assert len(panel.answers) == 2, "an answer to the same values takes the place of the former"
