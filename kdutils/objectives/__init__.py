"""What is minimised: pure functions of tensors, one file per idea.

Every function takes logits of shape (..., B, C): one network's (B, C), or a population's (M, B, C), and returns one
value per network, (...,): the mean over the batch. Temperatures and weights are numbers or tensors of shape (...,).
An *objective* is what the training loop calls: objective(student, teacher, labels, knobs) -> (M,) losses.
"""

from kdutils.objectives.classification import cross_entropy, hard_labels, label_smoothing
from kdutils.objectives.hinton import distillation, kd_loss, soft_cross_entropy
from kdutils.objectives.softmax import log_softmax, softmax
from kdutils.objectives.spherical import (
    direction,
    l2_scale,
    largest_probability,
    mean_spread,
    mixed_distillation,
    normalised_temperature_kd,
    on_sphere,
    per_sample_distillation,
    spherical_distillation,
    spherical_kd,
    spherical_loss,
    spread,
    std_scale,
)
from kdutils.objectives.subclass import (
    class_logits,
    subclass_auxiliary,
    subclass_distillation,
    subclass_entropy,
    subclass_teacher,
)
from kdutils.objectives.tolerance import (
    confidence_penalty,
    optimum,
    penalty_optimum,
    smoothing_optimum,
    threshold,
    tolerant_teacher,
    tolerant_teacher_convex,
    top_score_difference,
)

__all__ = ["class_logits", "confidence_penalty", "cross_entropy", "direction", "distillation", "hard_labels",
           "kd_loss", "l2_scale", "label_smoothing", "largest_probability", "log_softmax", "mean_spread",
           "mixed_distillation", "normalised_temperature_kd", "on_sphere", "optimum", "penalty_optimum",
           "per_sample_distillation", "smoothing_optimum", "soft_cross_entropy", "softmax", "spherical_distillation",
           "spherical_kd", "spherical_loss", "spread", "std_scale", "subclass_auxiliary", "subclass_distillation",
           "subclass_entropy", "subclass_teacher", "threshold", "tolerant_teacher", "tolerant_teacher_convex",
           "top_score_difference"]
