import pytest
import yaml

from simswap.weights.bundle import load_bundle
from train.loss_weights import Ramp
from train.publish.model_card import CardFacts, NetworkFacts, describe_networks, model_card

NETWORK = NetworkFacts("generator.safetensors", "a generator", 4_700_000, 1.4)
LEAST = CardFacts("mine", "Ask before use.", (NETWORK,), 128)


def make_card(**facts: object) -> str:
    return model_card(CardFacts(**{**vars(LEAST), **facts}))


def header_of(card: str) -> dict[str, object]:
    _, header, _ = card.split("---\n", 2)
    return yaml.safe_load(header)


def sections_of(card: str) -> list[str]:
    return [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]


def test_the_header_is_what_the_hub_reads():
    assert header_of(model_card(LEAST)) == {
        "license": "other",
        "license_name": "ask-before-use",
        "library_name": "simswap",
        "pipeline_tag": "image-to-image",
        "tags": ["face-swapping", "simswap"],
    }


@pytest.mark.parametrize(
    ("licence", "expected", "name"),
    [
        ("CC BY-NC 4.0", "cc-by-nc-4.0", None),
        ("cc-by-nc-4.0", "cc-by-nc-4.0", None),
        ("Research use only.", "other", "research-use-only"),
        ("See: a # very long story, " * 3, "other", "see-below"),
        ("§", "other", "see-below"),
    ],
)
def test_the_header_names_the_licence_as_the_hub_spells_it(licence, expected, name):
    header = header_of(make_card(licence=licence))
    assert (header["license"], header.get("license_name")) == (expected, name)


def test_the_figures_are_in_the_headers_model_index():
    figures = {"eval/id_retrieval": 0.92345, "eval/pose_error": 2.0}
    (entry,) = header_of(make_card(figures=figures, evaluated_on="faces"))["model-index"]
    assert entry["name"] == "mine"
    (result,) = entry["results"]
    assert result["dataset"]["name"] == "faces"
    (metric,) = result["metrics"]
    assert (metric["name"], metric["value"]) == ("ID retrieval", 0.9234)


def test_data_sets_of_the_hub_are_linked_in_the_header():
    assert header_of(make_card(dataset_ids=("user/faces",)))["datasets"] == ["user/faces"]


def test_what_is_not_known_is_left_out():
    card = model_card(LEAST)
    assert sections_of(card) == ["Networks", "Licence", "Known limits", "Responsible use"]
    assert "None" not in card


def test_every_given_fact_is_told():
    card = make_card(
        repo_id="user/mine",
        data="faces of user/faces",
        settings={"Precision": "bf16"},
        num_steps=6_100,
        num_images=97_600,
        losses={"identity": Ramp(20, 14, 3250, 4000), "feature_matching": 0.5},
        teachers=("edgeface_xs",),
        evaluation="| figure | value |\n|---|---|\n| ID retrieval | 92 % |",
        has_samples=True,
        limits=("Full profiles are weak.",),
    )
    for told in (
        "# mine\n",
        'from_pretrained("user/mine")',
        "`SIMSWAP_MODEL=user/mine python app.py`",
        "| `generator.safetensors` | a generator | 4.7 M | 1.4 |",
        "- Data: faces of user/faces\n",
        "- Precision: bf16\n",
        "- Steps: 6,100\n",
        "- Pairs of photos seen: 97,600\n",
        "- Teachers of the identity loss: edgeface_xs\n",
        "| identity | 20 until step 3,250, then to 14 at step 4,000 |",
        "| feature matching | 0.5 |",
        "| ID retrieval | 92 % |",
        "Ask before use.",
        "](samples.png)",
        "128 x 128 pixels",
        "- Full profiles are weak.\n",
        "people who agreed",
    ):
        assert told in card


def test_a_loss_that_was_off_is_no_row():
    assert "penalty" not in make_card(losses={"gradient_penalty": 0.0, "identity": 10.0})


def test_a_ramp_may_come_from_json():
    ramp = {"start": 20.0, "end": 14.0, "from_step": 1, "to_step": 2}
    assert make_card(losses={"identity": ramp}) == make_card(losses={"identity": Ramp(**ramp)})


def test_a_bar_in_a_cell_does_not_break_the_table():
    card = make_card(networks=(NetworkFacts("a.safetensors", "this | that", 1),))
    assert "| this \\| that |" in card


def test_networks_are_counted_and_costed_without_running_them():
    bundle = load_bundle()
    networks = describe_networks(bundle.generator, bundle, 128)
    generator, identity, detector, parser, hair = networks
    assert generator.num_parameters == sum(p.numel() for p in bundle.generator.parameters())
    assert generator.gmac == pytest.approx(2.50, abs=0.01)
    assert identity.gmac == pytest.approx(0.23, abs=0.01)
    assert detector.gmac is None
    assert parser.gmac == pytest.approx(0.11, abs=0.01)
    assert (hair.num_parameters, hair.gmac) == (2 * 512 + 2, None)
    assert next(bundle.generator.parameters()).device.type == "cpu"


def test_the_cost_of_a_convolution_is_one_for_each_weight_and_place(tiny_bundle):
    """The last layer alone, by hand; the rest is the same rule."""
    facts = describe_networks(tiny_bundle.generator, tiny_bundle, 32)[0]
    last = tiny_bundle.generator.last_layer[1].weight.numel() * 32 * 32 / 1e9
    assert facts.gmac > last > 0
