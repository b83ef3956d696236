from dataclasses import replace

from shiftproof.records import LayerError
from shiftproof.report import words
from shiftproof.report.audit import glossary


def test_worst_layers_are_those_that_add_most_by_themselves(record_of):
    layers = record_of("whole").layers
    worst = words.worst_layers(layers, 6)
    locals_ = [layer.error.local.value for layer in worst]
    assert locals_ == sorted((x.error.local.value for x in layers if x.error.local), reverse=True)[:6]
    by_total = sorted(layers, key=lambda x: x.error.total.value, reverse=True)[:6]
    assert worst != by_total  # so the order is not the total's by chance


def test_layers_that_add_nothing_are_not_called_worst(record_of):
    layers = record_of("whole").layers
    added = [layer.error.local.value for layer in words.worst_layers(layers, 100)]
    assert min(added) > 0
    assert len(added) < len(layers)
    exact = [layer for layer in layers if layer.error.local and layer.error.local.value == 0]
    assert len(words.worst_layers(exact, 3)) == 3  # an exact network has a list too


def test_without_local_errors_the_total_decides(record_of):
    def without(error: LayerError) -> LayerError:
        return replace(error, local=None)

    layers = [replace(x, error=without(x.error)) for x in record_of("small").layers]
    assert words.worst_layers(layers, 1)[0].error.total.value == max(x.error.total.value for x in layers)


def test_every_term_has_a_definition_with_whole_addresses():
    for definition in glossary.TERMS.values():
        assert definition.text.endswith(".")
        assert all(source.url.startswith("https://") for source in definition.sources)


def test_an_error_below_the_rounding_of_the_arithmetic_is_zero():
    assert words.error_words(1.8e-14) == "0.00 %"
    assert words.error_words(3.6e-7) == "0.00 %"
    assert words.error_words(1e-5) == "1.0e-03 %"


def test_sentences(record_of):
    assert words.protocol_sentence(record_of("whole")) == (
        "circular boundary; grid of 289 moves; 512 of 520 pictures; 95 % intervals clustered by picture; seed 0"
    )
    assert "unlabelled" in words.protocol_sentence(record_of("dense"))
    assert words.cost_sentence(record_of("whole")).startswith(
        "147,968 views in 42 min; 1.03 forward equivalents per view"
    )
    protocol = replace(record_of("whole").protocol, interpolator="Fourier", interpolator_error=3e-7, period=[32, 32])
    sentence = words.protocol_sentence(replace(record_of("whole"), protocol=protocol))
    assert "sub-pixel by Fourier (error 3.0e-07)" in sentence
    assert "one view per residue of 32 × 32" in sentence
