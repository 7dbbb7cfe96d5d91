"""Pictures of one model version, kept as PNG files beside it: what a person looks at before trust.

Every input is a table or a series and every output a file: no database, no clock, no global state
of matplotlib. The same figures give the same bytes. The folder of a version
(``paths.pictures``) appears complete or not at all. matplotlib is imported by the first drawing.
"""

from include.models.pictures.scores import NAMES as SCORE
from include.models.pictures.scores import Judged, score_pictures
from include.models.pictures.segments import NAMES as SEGMENT
from include.models.pictures.segments import segment_pictures
from include.models.pictures.value import NAMES as VALUE
from include.models.pictures.value import value_pictures

__all__ = ["NAMES", "Judged", "score_pictures", "segment_pictures", "value_pictures"]

NAMES: tuple[str, ...] = (*SCORE, *SEGMENT, *VALUE)
"""Every file name there may be, without its ending."""
