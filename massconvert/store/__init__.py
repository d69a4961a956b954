"""Redis: the connection, the catalogue of keys, the scripts, and its clock."""

from __future__ import annotations

from massconvert.store.clock import Clock, RedisClock, steady
from massconvert.store.connection import Clients, Redis, connect, reaching
from massconvert.store.keys import Keys
from massconvert.store.patience import PATIENCE, Patience
from massconvert.store.scripts import Scripts
from massconvert.store.shelf import Kept, Shelf
