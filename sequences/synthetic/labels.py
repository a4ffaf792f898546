"""The NYU-40 classes that the generator builds, by name."""

from enum import IntEnum

LABEL_SPACE = "nyu40"


class Nyu40(IntEnum):
    """Ids of the NYU-40 label space (Gupta et al., 2013) that occur in synthetic scenes."""

    WALL = 1
    FLOOR = 2
    CABINET = 3
    BED = 4
    CHAIR = 5
    SOFA = 6
    TABLE = 7
    DOOR = 8
    WINDOW = 9
    BOOKSHELF = 10
    PICTURE = 11
    COUNTER = 12
    DESK = 14
    CURTAIN = 16
    DRESSER = 17
    PILLOW = 18
    FLOOR_MAT = 20
    CEILING = 22
    BOOKS = 23
    REFRIGERATOR = 24
    TELEVISION = 25
    PAPER = 26
    BOX = 29
    WHITEBOARD = 30
    PERSON = 31
    NIGHT_STAND = 32
    SINK = 34
    LAMP = 35
    OTHER_PROP = 40
