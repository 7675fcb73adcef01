class AirflowException(Exception):
    """The task is tried again."""


class AirflowFailException(AirflowException):
    """It is not."""
