"""What to offer whom: an item-item table, lists to explore and to buy again, each with its reason.

``MAKERS`` (makers/) turn purchases into the neighbours of each product; a ``Recipe`` (recipe.py)
says which maker, which one beside it and how their scores meet popularity; ``compiled`` makes a
recipe ready for one day. ``explore`` and ``repeat`` rank, ``prospects`` ranks customers for each
product, ``bundles`` counts orders; ``judge`` measures, ``training`` chooses, ``tables`` writes.
The loops are in ``kernel``. Nothing is users x products or products x products outside one block.
"""

from include.recommend.judge import Figure, evaluate
from include.recommend.makers import MAKERS
from include.recommend.recipe import Recipe
from include.recommend.tables import lists, terms
from include.recommend.training import train

__all__ = ["MAKERS", "Figure", "Recipe", "evaluate", "lists", "terms", "train"]
