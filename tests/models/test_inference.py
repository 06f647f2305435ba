import torch

from simswap.models.generator import Generator, GeneratorConfig
from simswap.models.inference import prepare_for_inference


def a_trained_generator() -> Generator:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(channels=(4, 8), num_blocks=1)).train()
    for _ in range(3):  # batch norms pick up statistics
        generator(torch.rand(4, 3, 32, 32), torch.randn(4, 512))
    return generator.eval()


def test_prepared_generator_computes_what_the_trained_one_did():
    generator = a_trained_generator()
    crops, embeddings = torch.rand(2, 3, 32, 32), torch.randn(2, 512)
    with torch.inference_mode():
        expected = generator(crops, embeddings)
        prepared = prepare_for_inference(generator, torch.device("cpu"))
        found = prepared(crops, embeddings)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_prepared_generator_has_no_batch_norm_and_no_gradients():
    prepared = prepare_for_inference(a_trained_generator(), torch.device("cpu"))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in prepared.modules())
    assert not any(weights.requires_grad for weights in prepared.parameters())
    assert not prepared.training
