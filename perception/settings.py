"""The base of everything that is configured in this package: strict, frozen, and with no unknown keys."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Plain values that do not change, with no other keys and of no other types than these."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
