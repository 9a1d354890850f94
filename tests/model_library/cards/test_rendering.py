from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import CardScore, Lineage, NetworkCard, TrainingData
from model_library.cards.rendering import card_lines
from model_library.networks.config import NetworkFacts, UNetConfig
from model_library.wire.tasks import Denoise

CARD = NetworkCard(
    id="planted",
    version="2.0.0",
    purpose="Denoise.",
    task=Denoise(),
    modality=("sem", "fib_sem"),
    pixel_size_nm=(2.0, 8.5),
    acquisition=AcquisitionRange(beam_kv=(5, 10), dose_e_per_A2=(2, 2), detectors=("ETD",)),
    config=UNetConfig(widths=(4, 6)),
    facts=NetworkFacts(parameters=1234, receptive_field_px=21, flops_per_pixel=5600, exact_tiling=True),
    weights_sha256="ab" * 32,
    training_data=(
        TrainingData(source="alloy", terms="MIT", images=2, digests=("1" * 64,), simulated=False),
    ),
    scores=(
        CardScore(
            suite="specimens",
            metric="psnr",
            value=31.25,
            ci95=(30.0, 32.5),
            best_classical="tv",
            best_classical_value=29.5,
            fields=8,
            command="synoptic benchmark card planted",
        ),
    ),
    limits=("Not for colour.",),
    lineage=Lineage(parent_id="base", parent_version="1.0.0", parent_weights_sha256="cd" * 32, campaign="c1"),
)


def in_words(card: NetworkCard) -> str:
    return "\n".join(f"{label}: {text}" for label, text in card_lines(card))


def test_a_card_in_words_holds_what_its_reader_must_know():
    text = in_words(CARD)
    for fact in (
        "purpose: Denoise.",
        "modality: sem, fib_sem",
        "pixel size: 2 to 8.5 nm",
        "1234 parameters, receptive field 21 px, 6 kFLOP per input pixel, exact tiling",
        "acquired at: 5 to 10 kV, 2 e/Å², detector ETD",
        "ab" * 32,
        "alloy: 2 images, terms MIT, 1 files by digest",
        "psnr 31.25 [30.00, 32.50] over 8 fields, best classical tv 29.50",
        "Not for colour.",
        "tuned from: base 1.0.0 by campaign c1",
    ):
        assert fact in text


def test_a_card_survives_its_json():
    assert NetworkCard.model_validate_json(CARD.model_dump_json()) == CARD


def test_a_card_bound_to_nothing_says_so():
    text = in_words(CARD.model_copy(update={"modality": (), "pixel_size_nm": None}))
    assert "modality: any" in text
    assert "pixel size: any" in text
