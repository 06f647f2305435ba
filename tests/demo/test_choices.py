"""What a visitor chooses becomes options of the package."""

import pytest

from simswap import OptionError
from simswap.demo.choices import Choices, VideoChoices


@pytest.mark.parametrize("choices", [Choices(), VideoChoices()])
def test_only_a_public_space_labels_results_visibly(monkeypatch, choices):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert not choices.swap_options().label
    monkeypatch.setenv("SPACE_ID", "somebody/simswap")
    assert choices.swap_options().label


def test_choices_of_a_video_say_how_it_is_written():
    options = VideoChoices(start=1.5, end=2.5, format="webm", crf=30, detect_every=2)
    video = options.video_options()
    chosen = (video.start, video.end, video.format, video.crf, video.detect_every)
    assert chosen == (1.5, 2.5, "webm", 30, 2)


def test_a_visitor_gets_no_hdr_which_few_browsers_play():
    assert not VideoChoices().video_options().keep_hdr


@pytest.mark.parametrize("name", ["crf", "detect_every"])
def test_a_count_that_is_no_whole_number_is_refused(name):
    with pytest.raises(OptionError, match=f"{name} is 2.5"):
        VideoChoices(**{name: 2.5}).video_options()
