"""The prior: how it is written, what it does to probabilities, and how it is estimated."""

import numpy as np
import pytest

from emostream import recognize
from emostream.models import load, weights
from emostream.models.prior import AS_TRAINED, choose_reweighting
from emostream.models.prior_estimation import estimate_shares
from emostream.models.spec import ModelSpec
from emostream.services.capture.demo.scene import DemoScene
from emostream.shared.errors import ConfigError
from emostream.shared.prior import Prior, parse_prior

SPEC = ModelSpec(
    labels=("happy", "sad", "odd"),
    scaling="0..1",
    trained={"happy": 0.5, "sad": 0.3, "odd": 0.2},
    natural={"happy": 0.7, "sad": 0.2, "odd": 0.1},
)
PLAIN = ModelSpec(labels=("happy", "sad"), scaling="0..1")
ROWS = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], np.float32)


def applied(prior: Prior, strength: float | None = None) -> list[list[float]]:
    chosen = choose_reweighting(SPEC, "toy", prior, strength)
    assert chosen
    rows: list[list[float]] = chosen.apply(ROWS).tolist()
    return rows


@pytest.mark.parametrize(
    ("text", "prior"),
    [
        ("natural", "natural"),
        ("uniform", "uniform"),
        ("neutral=0.5", {"neutral": 0.5}),
        (" a b = .25 ,c=0", {"a b": 0.25, "c": 0}),
    ],
)
def test_a_prior_is_written_as_a_name_or_as_shares(text: str, prior: Prior) -> None:
    assert parse_prior(text) == prior


@pytest.mark.parametrize(
    "text",
    ["", "posed", "estimate", "neutral", "neutral=", "=0.5", "a=x", "a=nan", "a=-1", "a=1.2",
     "a=0.9,b=0.9", "a=0.1,a=0.2", "a=0.1;b=0.2"],
)  # fmt: skip
def test_other_words_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_prior(text)
    assert "\n" not in str(caught.value)


def test_uniform_divides_by_the_shares_in_training() -> None:
    assert applied("uniform")[0] == pytest.approx([1 / 3] * 3)
    weights = np.array([0.1 / 0.5, 0.1 / 0.3, 0.8 / 0.2])
    assert applied("uniform")[1] == pytest.approx(weights / weights.sum())


def test_natural_is_a_reweighting_where_the_training_drew_otherwise() -> None:
    assert applied("natural")[0] == pytest.approx([0.7, 0.2, 0.1])


def test_a_strength_goes_a_part_of_the_way() -> None:
    assert applied("uniform", 0) == ROWS.tolist()
    half = np.array([0.5, 0.3, 0.2]) ** 0.5
    assert applied("uniform", 0.5)[0] == pytest.approx(half / half.sum())


def test_labels_that_are_not_named_share_the_rest_as_they_occur() -> None:
    assert applied({"odd": 0.4})[0] == pytest.approx([0.6 * 7 / 9, 0.6 * 2 / 9, 0.4])
    assert applied({"happiness": 0.9, "sadness": 0.1, "odd": 0})[0] == pytest.approx([0.9, 0.1, 0])


def test_a_row_that_only_has_what_is_excluded_is_still_a_row() -> None:
    chosen = choose_reweighting(SPEC, "toy", {"happy": 1.0})
    assert chosen
    assert chosen.apply(np.array([[0, 0, 1]], np.float32)).tolist() == [[1, 0, 0]]


def test_the_shares_of_what_is_reweighted_are_those_wanted() -> None:
    chosen = choose_reweighting(SPEC, "toy", "uniform")
    assert chosen
    assert chosen.shares == pytest.approx(dict.fromkeys(SPEC.labels, 1 / 3))
    as_trained = choose_reweighting(SPEC, "toy")
    assert as_trained
    assert as_trained.name == AS_TRAINED
    assert as_trained.shares == pytest.approx(SPEC.trained)
    assert as_trained.apply(ROWS) is ROWS


@pytest.mark.parametrize(
    ("prior", "strength", "words"),
    [
        ("posed", None, "write natural, uniform"),
        ({"fear": 0.2}, None, "model toy has no label fear (it has happy, sad, odd)"),
        ({"happy": 0.2, "joy": 0.2}, None, "joy is happy, which is listed twice"),
        ({"happy": 0.2, "sad": 0.2, "odd": 0.2}, None, "sum to 0.6, not to 1"),
        ({"happy": 0.8, "sad": 0.8}, None, "which is more than 1"),
        ({}, None, "names no label"),
        ("uniform", 1.5, "prior_strength is 1.5"),
        ("uniform", float("nan"), "prior_strength is nan"),
        (None, 0.5, "prior_strength is 0.5 and there is no prior"),
    ],
)
def test_what_cannot_be_is_refused(prior: Prior, strength: float | None, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_reweighting(SPEC, "toy", prior, strength)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_shares_is_used_as_it_is() -> None:
    assert choose_reweighting(PLAIN, "mine") is None
    assert choose_reweighting(PLAIN, "mine", "natural", 0.5) is None
    assert choose_reweighting(PLAIN, "mine", None, 0.0) is None
    with pytest.raises(ConfigError, match="there is no prior"):
        choose_reweighting(PLAIN, "mine", None, 0.5)
    for prior in ("uniform", {"happy": 0.5}):
        with pytest.raises(ConfigError, match=r"model mine does not state .* \[trained\]"):
            choose_reweighting(PLAIN, "mine", prior)


def test_a_model_has_the_prior_of_its_toml_unless_another_is_asked_for() -> None:
    spec = ModelSpec(
        labels=PLAIN.labels, scaling="0..1", trained={"happy": 0.6, "sad": 0.4},
        prior="uniform", prior_strength=0.3,
    )  # fmt: skip
    found = [
        choose_reweighting(spec, "mine", *asked)
        for asked in ((), (None, 0.5), ("uniform",), (None, 0), ("natural",))
    ]
    assert [str(one) for one in found] == [
        "uniform at strength 0.3", "uniform at strength 0.5", "uniform", "as trained",
        "as trained",
    ]  # fmt: skip


def test_load_reweights_what_the_model_says() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (5, 64, 64), np.uint8)
    plain = load("alexnet-fer", prior_strength=0)
    uniform = load("alexnet-fer", prior="uniform")
    assert uniform.prior
    given = plain.predict(faces) / np.array(uniform.prior.trained)
    expected = given / given.sum(axis=1, keepdims=True)
    assert uniform.predict(faces) == pytest.approx(expected, abs=1e-6)
    assert uniform.predict(list(faces)) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ConfigError, match="no label joy2"):
        load("alexnet-fer", prior={"joy2": 0.5})


@pytest.mark.parametrize("name", weights.names())
def test_each_model_that_ships_states_its_shares(name: str) -> None:
    model = load(name)
    assert model.prior
    assert set(model.spec.trained) == set(model.spec.natural) == set(model.labels)


def test_the_quick_model_has_the_prior_of_the_exact_one() -> None:
    exact, quick = load("alexnet-fer").prior, load("alexnet-fer-int8").prior
    assert exact
    assert quick == exact


def test_recognize_takes_shares() -> None:
    frame = DemoScene().frame(0)
    plain = recognize(frame, "bgr")
    sad = recognize(frame, "bgr", prior={"sadness": 0.9}, prior_strength=1.0)
    assert len(plain) == len(sad) > 0
    for one, other in zip(plain, sad, strict=True):
        assert other.probabilities["sadness"] > one.probabilities["sadness"]


def toy_faces(
    shares: np.ndarray, trained: np.ndarray, count: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return faces as a calibrated model judges them, (N, C), and their labels."""
    random = np.random.default_rng(seed)
    labels = random.choice(len(shares), count, p=shares)
    evidence = random.normal(2.0 * np.eye(len(shares))[labels], 1.0)
    # Of normal evidence with a lead of 2 the likelihood is exp(2 x) for each label.
    powers = trained * np.exp(2 * evidence)
    return powers / powers.sum(axis=1, keepdims=True), labels


def test_the_shares_of_many_faces_are_found_without_labels() -> None:
    trained, shares = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6])
    given, labels = toy_faces(shares, trained, 4000)
    found = estimate_shares(given, trained)
    assert found == pytest.approx(shares, abs=0.1)
    better = given * found / trained
    assert (better.argmax(axis=1) == labels).mean() > (given.argmax(axis=1) == labels).mean() + 0.03


def test_no_label_dies() -> None:
    trained = np.array([0.7, 0.2, 0.1])
    found = estimate_shares(np.tile(np.array([1.0, 0, 0]), (100_000, 1)), trained)
    assert (found >= 0.05 * trained).all()


def test_few_faces_stay_near_the_training_and_none_says_nothing() -> None:
    trained = np.array([0.7, 0.2, 0.1])
    assert estimate_shares(np.empty((0, 3)), trained) == pytest.approx(trained)
    assert estimate_shares(np.array([[0, 0, 1.0]]), trained) == pytest.approx(trained, abs=0.05)
