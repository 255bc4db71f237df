import pytest

from core.apiserver.auth import USER, authenticate
from core.errors import Unauthorized


@pytest.mark.parametrize("authorization", ["Bearer t0ken", "bearer t0ken", "Bearer  t0ken "])
def test_the_token_opens_everything(authorization: str) -> None:
    assert authenticate("/api/v1/secrets", {"authorization": authorization}, "t0ken") == USER


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer t0ke", "Bearer t0kenn", "t0ken", "Bearer é"])
def test_nothing_else_does(authorization: str) -> None:
    with pytest.raises(Unauthorized):
        authenticate("/api/v1/secrets", {"authorization": authorization}, "t0ken")
    assert authenticate("/healthz", {"authorization": authorization}, "t0ken") == ""
