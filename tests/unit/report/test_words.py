from dataclasses import replace

from shiftproof.records import LayerError, Metric, metric_rows
from shiftproof.report import definitions, words


def test_rows_say_what_the_record_prints_of_itself(record_of):
    for kind in ("whole", "dense", "unlabelled"):
        record = record_of(kind)
        mine = [(r.words, r.value, r.interval.removesuffix(" %")) for r in words.rows(record)]
        assert mine == metric_rows(record)


def test_a_metric_of_a_later_version_comes_last_under_its_own_name(record_of):
    record = record_of("small")
    later = replace(record, metrics={"new_figure": Metric(0.5, 0.4, 0.6, 9), **record.metrics})
    assert [r.words for r in words.rows(later)][-1] == "new figure"
    assert len(words.rows(later)) == len(words.rows(record)) + 1


def test_what_is_not_zero_is_not_printed_as_zero():
    assert words.percent(1e-9) == "1.0e-07 %"
    assert words.fixed(1e-9, "sensitivity") == "1.0e-09"
    assert words.percent(0.0) == "0.00 %"
    assert words.fixed(0.0, "sensitivity") == "0.0000"
    assert words.percent(float("nan")) == "–"


def test_maps_come_in_reading_order(record_of):
    record = record_of("small")
    backwards = replace(record, maps={"zzz": record.maps["accuracy"], **dict(reversed(record.maps.items()))})
    assert words.map_names(backwards) == ["accuracy", "agreement", "sensitivity", "sensitivity_cosine", "zzz"]


def test_which_way_is_bad():
    assert words.high_is_bad("flip_rate")
    assert words.high_is_bad("equivariance_error_border")
    assert words.high_is_bad("sensitivity_cosine")
    assert not words.high_is_bad("accuracy")
    assert not words.high_is_bad("mask_agreement_border")
    assert not words.is_fraction("sensitivity")
    assert words.is_fraction("mask_agreement")


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


def test_every_metric_and_every_map_that_has_words_has_a_definition():
    from shiftproof.records import PERCENT, PLAIN

    assert set(definitions.METRICS) == set(PERCENT | PLAIN)
    for definition in [*definitions.METRICS.values(), *definitions.TERMS.values()]:
        assert definition.text.endswith(".")
        assert all(s.url.startswith("https://") for s in definition.sources)


def test_sentences(record_of):
    assert words.protocol_sentence(record_of("whole")) == (
        "circular boundary; grid of 289 moves; 512 of 520 pictures; 95 % intervals clustered by picture; seed 0"
    )
    assert "unlabelled" in words.protocol_sentence(record_of("dense"))
    assert words.cost_sentence(record_of("whole")).startswith(
        "147,968 views in 42 min; 1.03 forward equivalents a view"
    )
    protocol = replace(record_of("whole").protocol, interpolator="Fourier", interpolator_error=3e-7, period=[32, 32])
    sentence = words.protocol_sentence(replace(record_of("whole"), protocol=protocol))
    assert "sub-pixel by Fourier (error 3.0e-07)" in sentence
    assert "one view per residue of 32 × 32" in sentence
