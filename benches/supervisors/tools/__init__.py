"""The tools, each with what is particular to it."""

from .brigade import Brigade
from .circus import Circus
from .honcho import Honcho
from .pm2 import Pm2
from .runit import Runit
from .s6 import S6
from .supervisord import Supervisord

ALL = [Brigade(), Supervisord(), Circus(), Pm2(), S6(), Runit(), Honcho()]
