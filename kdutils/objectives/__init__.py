"""What is minimised: pure functions of tensors, one file per idea.

Every function takes logits of shape (..., B, C): one network's (B, C), or a population's (M, B, C), and returns one
value per network, (...,): the mean over the batch. Temperatures and weights are numbers or tensors of shape (...,).
An *objective* is what the training loop calls: objective(student, teacher, labels, knobs) -> (M,) losses.
"""

from kdutils.objectives.attention import attention_loss, attention_map
from kdutils.objectives.boundary import attack, boundary_loss, boundary_weight, other_class, soft_target_weight
from kdutils.objectives.classification import cross_entropy, hard_labels, label_smoothing
from kdutils.objectives.flow import flow_loss, flow_matrix
from kdutils.objectives.gaussian import (
    best_single_width,
    beta_nll,
    calibrated_scale,
    gaussian,
    gaussian_distillation,
    gaussian_kl,
    gaussian_nll,
    half_squared_error,
    mean_distillation,
    regression,
    soft_label_distillation,
    united,
    united_log_probabilities,
)
from kdutils.objectives.hinton import distillation, kd_loss, soft_cross_entropy
from kdutils.objectives.hints import hint_loss
from kdutils.objectives.methods import METHODS, Layers, Method, layers
from kdutils.objectives.online import branch_divergence, ensemble_loss, gated_ensemble, mutual_loss, peer_divergence
from kdutils.objectives.relational import angle_loss, distance_loss, pair_distances, similarity_loss, similarity_matrix
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

__all__ = ["Layers", "METHODS", "Method", "angle_loss", "attack", "attention_loss", "attention_map",
           "best_single_width", "beta_nll", "boundary_loss", "boundary_weight", "branch_divergence",
           "calibrated_scale", "class_logits", "confidence_penalty", "cross_entropy", "direction",
           "distance_loss", "distillation", "ensemble_loss", "flow_loss", "flow_matrix", "gated_ensemble",
           "gaussian", "gaussian_distillation", "gaussian_kl", "gaussian_nll", "half_squared_error",
           "hard_labels", "hint_loss", "kd_loss", "l2_scale", "label_smoothing", "largest_probability",
           "layers", "log_softmax", "mean_distillation", "mean_spread", "mixed_distillation", "mutual_loss",
           "normalised_temperature_kd", "on_sphere", "optimum", "other_class", "pair_distances",
           "peer_divergence", "penalty_optimum", "per_sample_distillation", "regression", "similarity_loss",
           "similarity_matrix", "smoothing_optimum", "soft_cross_entropy", "soft_label_distillation",
           "soft_target_weight", "softmax", "spherical_distillation", "spherical_kd", "spherical_loss",
           "spread", "std_scale", "subclass_auxiliary", "subclass_distillation", "subclass_entropy",
           "subclass_teacher", "threshold", "tolerant_teacher", "tolerant_teacher_convex",
           "top_score_difference", "united", "united_log_probabilities"]
