"""What a run tells the public of where it came from."""

import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from train.publish.publisher import public_name, public_word


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("user/faces", "user/faces"),
        ("https://example.org/faces/{0..3}.tar", "https://example.org/faces/{0..3}.tar"),
        ("/home/somebody/secret/faces", "faces"),
        ("../private/faces", "faces"),
        ("assets/models/simswap-lite-128", "simswap-lite-128"),
        ("README.md", "README"),
        ("bundled", "simswap-lite-128"),
    ],
)
def test_a_public_name_does_not_tell_where_something_lies(source, expected):
    assert public_name(source) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--batch-size", "--batch-size"),
        ("--data=/home/somebody/faces", "--data=faces"),
        ("/home/somebody/a.pt,user/b", "a.pt,user/b"),
    ],
)
def test_the_command_in_a_card_does_not_either(word, expected):
    assert public_word(word) == expected
