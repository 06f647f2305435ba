import torch

from simswap.models.parser import CLASSES, INPUT_SIZE, FaceParser, ParserConfig


def test_shares_sum_to_one_in_each_place_at_half_the_resolution():
    torch.manual_seed(0)
    parser = FaceParser(ParserConfig(channels=(4, 6, 8))).eval()
    shares = parser(torch.rand(2, 3, INPUT_SIZE, INPUT_SIZE))
    assert shares.shape == (2, len(CLASSES), INPUT_SIZE // 2, INPUT_SIZE // 2)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, INPUT_SIZE // 2, INPUT_SIZE // 2))


def test_the_parser_is_small():
    parser = FaceParser(ParserConfig())
    assert sum(weights.numel() for weights in parser.parameters()) <= 600_000
