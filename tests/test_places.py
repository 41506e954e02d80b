import pytest

from photoz_run.config import load_config
from photoz_run.errors import ConfigError
from photoz_run.places import base_name, masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@host:8080/a/b.fits", "https://***@host:8080/a/b.fits"),
        ("https://me:s@cret@host/b.fits", "https://***@host/b.fits"),
        (
            "https://host/b?X-Amz-Signature=secret&file=b.fits&X-Amz-Credential=secret",
            "https://host/b?X-Amz-Signature=***&file=b.fits&X-Amz-Credential=***",
        ),
        ("https://host/b?sig=secret#secret-less", "https://host/b?sig=***#secret-less"),
        ("https://host/b?AWSAccessKeyId=secret&Expires=1", None),
        ("s3://bucket/prefix/b.fits", "s3://bucket/prefix/b.fits"),
    ],
)
def test_secrets_of_addresses_are_hidden_in_any_text(url, shown):
    text = f"cannot read '{url}', nor {url} (gone)"
    assert "secret" not in masked(text).replace("secret-less", "")
    if shown is not None:
        assert masked(text) == f"cannot read '{shown}', nor {shown} (gone)"


def test_an_address_with_a_secret_does_not_enter_the_files_of_a_run(tmp_path):
    for place in ("https://me:hidden@host/dr5", "https://host/list.txt?token=hidden"):
        with pytest.raises(ConfigError, match=r"would stand in the files of the run") as caught:
            load_config(None, {"tiles": ("all",), "out": tmp_path, "data": (place,)})
        assert "hidden" not in str(caught.value)


def test_a_file_is_called_by_the_last_part_of_its_address():
    assert base_name("https://host/a/b%20(1).fits?x=/c") == "b (1).fits"
