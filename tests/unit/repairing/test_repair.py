"""`sp.repair`: the guarantee, the record, what it refuses and why, and that the caller's model stays as it was."""

import copy
import json
import warnings
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

import shiftproof as sp
from shiftproof.errors import GuaranteeWarning, ModelError, RecordError, RepairError
from shiftproof.records import RepairRecord
from shiftproof.records.repair_parts import PROVED_IN, MethodName
from shiftproof.repairing import METHODS
from shiftproof.repairing.methods import ON_REQUEST, ORDER
from shiftproof.repairing.methods.pose import place

SIZE = (1, 8, 6)


def network(**kwargs) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1, **kwargs), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


class Scores(nn.Module):
    """A map and a score, by name; the map first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.conv(x)
        return {"out": y, "score": y.mean((2, 3))}


def picture(seed: int = 0) -> Tensor:
    return torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(seed))


def state(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [(k, v.clone()) for k, v in module.state_dict().items()]


@pytest.fixture(scope="module")
def posed():
    torch.manual_seed(0)
    return sp.repair(network(), SIZE, goal="circular")


def test_every_circular_move_has_one_answer(posed):
    assert (posed.guarantee.kind, posed.guarantee.world, posed.guarantee.step) == ("invariant", "circular", (1, 1))
    assert posed.guarantee.proof == "whole"
    still = posed(picture())
    for y in range(8):
        for x in range(6):
            assert torch.equal(posed(picture().roll((y, x), (2, 3))), still)


def test_the_mended_model_is_proved_by_the_check(posed):
    verdict = sp.check(posed, SIZE)
    assert verdict.circular.status == "proved"
    assert verdict.circular.step == (1, 1)


def test_the_record_says_what_was_done_and_survives_json(posed):
    record = posed.record
    assert RepairRecord.from_dict(record.to_dict()) == record
    assert record.method == "pose"
    assert [c.action for c in record.changes][:2] == ["refused", "added"]
    kept = [c for c in record.changes if c.action == "kept"]
    assert {c.operator for c in kept} == {"conv2d"}
    assert all(c.mend is not None and c.mend.module == "0" for c in kept)
    assert record.before is not None
    assert record.before.circular.status == "not_proved"
    assert record.after.circular.status == "proved"
    assert record.confirmed.difference == 0
    assert record.confirmed.dtypes == ("float32", "float64")
    assert record.confirmed.moves >= 30
    for said in ("proved", "not covered: a camera", "added CanonicalPose", "confirmed by running"):
        assert said in str(record)


WRONG = {
    "a method that does not exist": (("method",), "pie", "'pie'"),
    "a precision that does not exist": (("confirmed", "dtypes"), ["pie"], "'pie'"),
    "run in no precision": (("confirmed", "dtypes"), [], r"it is empty \(confirmed.dtypes\)"),
    "run twice in one precision": (("confirmed", "dtypes"), ["float32", "float32"], "'float32' occurs twice"),
    "fewer than no pictures": (("confirmed", "pictures"), -1, "-1 is below 1"),
    "no pictures": (("confirmed", "pictures"), 0, "0 is below 1"),
    "fewer than no moves": (("confirmed", "moves"), -1, "-1 is below 0"),
    "a negative difference": (("confirmed", "difference"), -0.5, "-0.5 is below 0"),
    "a negative cost": (("cost",), -1.0, "-1.0 is below 0"),
    "a step of nothing": (("guarantee", "step"), [0, 0], r"0 is not above 0 \(guarantee.step\)"),
    "a step that was not proved": (("guarantee", "step"), [1, 2], r"\(1, 2\) is not the step that is proved"),
    "a world of another goal": (
        ("guarantee", "world"),
        "canvas",
        "'canvas' is not where the goal 'circular' is proved",
    ),
    "a goal of another world": (("goal",), "zero", "'circular' is not where the goal 'zero' is proved"),
    "a goal without a method": (("goal",), "crop", "nothing can be proved for the goal 'crop'"),
    "another size": (("input_size",), [1, 8, 8], r"is not the size of the repair.*before.input_size"),
    "a size of the verdict": (("after", "input_size"), [1, 8, 8], r"is not the size of the repair.*after.input_size"),
    "a file of somebody else": (("files",), ["../../etc/passwd"], r"'../../etc/passwd' is not a file .*files\[0\]"),
    "a file twice": (("files",), ["mended.py", "mended.py"], "'mended.py' occurs twice"),
    "a change without a reason": (("changes", 0, "why"), "", r"it is empty \(changes\[0\].why\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_record_that_contradicts_itself_is_refused(posed, case):
    (*way, last), value, said = WRONG[case]
    plain = json.loads(json.dumps(posed.record.to_dict()))
    assert RepairRecord.from_dict(plain) == posed.record
    at = plain
    for key in way:
        at = at[key]
    at[last] = value
    with pytest.raises(RecordError, match=said):
        RepairRecord.from_dict(plain)


def test_a_guarantee_that_the_verdict_does_not_give_is_refused(posed):
    plain = json.loads(json.dumps(posed.record.to_dict()))
    for world in ("circular", "canvas"):  # the circular proof gives that of the canvas
        plain["after"][world]["status"] = "not_proved"
    with pytest.raises(RecordError, match="'not_proved', but the guarantee says"):
        RepairRecord.from_dict(plain)


def test_the_callers_model_stays_as_it_was():
    torch.manual_seed(0)
    model = network()
    model[0].train()
    before, modes, x = state(model), [m.training for m in model.modules()], picture()
    random = torch.get_rng_state()
    answer = copy.deepcopy(model).eval()(x)
    mended = sp.repair(model, SIZE, goal="circular")
    assert torch.equal(torch.get_rng_state(), random)
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(before, state(model), strict=True))
    assert torch.equal(model.eval()(x), answer)
    with torch.no_grad():
        for p in mended.parameters():
            p.zero_()
    assert torch.equal(model(x), answer)  # the mended model's weights are a copy


def test_a_circular_network_only_gets_its_phase_aligned():
    mended = sp.repair(network(padding_mode="circular"), SIZE, goal="circular")
    assert mended.record.method == "phase"
    assert mended.guarantee.step == (1, 1)
    assert mended.confirmed.moves == 3  # its other phases
    assert mended.confirmed.difference < 1e-5
    x = picture().double()
    mended = mended.double()
    for v in [(1, 0), (0, 1), (3, 5)]:
        torch.testing.assert_close(mended(x.roll(v, (2, 3))), mended(x), rtol=1e-12, atol=1e-12)


def test_what_needs_no_repair_stays_as_it_is():
    mended = sp.repair(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), SIZE, goal="circular")
    assert mended.record.method == "nothing"
    assert [c.action for c in mended.changes] == ["kept"]
    assert mended.confirmed.moves > 0


def test_a_map_moves_with_the_picture_again():
    mended, x = sp.repair(Scores(), SIZE, goal="circular"), picture()
    assert mended.guarantee.kind == "equivariant"
    still = mended(x)
    for v in [(1, 0), (0, 5), (7, 3)]:
        after = mended(x.roll(v, (2, 3)))
        assert torch.equal(after["out"], still["out"].roll(v, (2, 3)))
        assert torch.equal(after["score"], still["score"])


def objects(places) -> Tensor:
    found = torch.zeros(len(places), *SIZE)
    for f, (y, x) in zip(found, places, strict=True):
        f[0, y : y + 2, x : x + 2] = torch.tensor([[0.9, 0.8], [0.7, 0.9]])
    return found


def test_an_object_has_one_answer_wherever_it_lies():
    mended = sp.repair(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), SIZE, goal="zero")
    assert (mended.guarantee.world, mended.guarantee.step) == ("canvas", (1, 1))
    places = [(y, x) for y in range(7) for x in range(5)]
    found = [mended(p) for p in objects(places).split(1)]
    assert all(torch.equal(f, found[0]) for f in found)


def test_the_object_comes_to_where_the_data_have_it():
    data = objects([(1, 2), (1, 2), (5, 3)])
    assert place(data) == (1, 3)
    mended = sp.repair(nn.Identity(), SIZE, goal="zero", data=data, shown=data)
    assert mended.pose is not None
    assert mended.pose.at == (1, 3)
    assert any("row 1, column 3: its median place in the data" in c.why for c in mended.changes)


def test_a_picture_that_the_guarantee_does_not_cover_is_warned_of():
    mended = sp.repair(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), SIZE, goal="zero")
    both = torch.cat([objects([(2, 2)]), picture()])
    assert mended.covers(both).tolist() == [True, False]
    with pytest.warns(GuaranteeWarning, match="more than half of the border"):
        mended(both)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mended(both[:1])


def test_another_size_is_refused_at_every_call(posed):
    with pytest.raises(RepairError, match=r"the guarantee is for \(n, 1, 8, 6\)"):
        posed(torch.rand(1, 1, 8, 8))


class Contradicting(nn.Module):
    """Torch exports one thing of it, and it does another: its answer depends on what it saw last."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            self.seen += 1
        return x.mean((2, 3)) + self.seen


def test_a_model_whose_runs_contradict_the_proof_is_not_handed_out():
    with pytest.raises(RepairError):
        sp.repair(Contradicting(), SIZE, goal="circular")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: sp.repair(network(), SIZE, goal="circular", method="phase"),
            r"padding \(3x3/2 zeros\(1\)\).*conv2d in 0.*pose",
        ),
        (lambda: sp.repair(network(), SIZE, goal="crop"), "nothing can be proved for the goal 'crop'"),
        (lambda: sp.repair(network(), SIZE, goal="zero", method="phase"), "for the goal 'zero'.*use pose"),
        (lambda: sp.repair(network(), SIZE, goal="circular", budget=0.5), "the budget is 0.5"),
        (lambda: sp.repair(network(), SIZE, goal="circular", data=torch.rand(2, 3, 8, 6)), "data of"),
        (lambda: sp.repair(nn.Bilinear(3, 3, 1), SIZE, goal="circular"), "positional argument"),
    ],
)
def test_a_refusal_names_the_operator_the_reason_and_what_would_work(call, said):
    with pytest.raises((RepairError, ModelError), match=said):
        call()


def test_the_table_of_methods_is_complete():
    tables = (*ORDER.values(), *ON_REQUEST.values())
    assert {name for names in tables for name in names} == set(METHODS) == set(get_args(MethodName))
    assert set(ORDER) - set(PROVED_IN) == {"crop"}


def test_a_mended_model_is_exported_for_any_batch_and_gives_the_same(posed, tmp_path):
    free = ({0: torch.export.Dim("n", min=1, max=64)},)
    program = torch.export.export(posed, (torch.rand(2, *SIZE),), dynamic_shapes=free, strict=False)
    torch.export.save(program, tmp_path / "mended.pt2")
    loaded = sp.load_model(str(tmp_path / "mended.pt2"))
    for n in (1, 5):
        x = torch.rand(n, *SIZE)
        assert torch.equal(loaded.module(x), posed(x))
    assert sp.check(loaded).circular.step == (1, 1)


def test_the_record_is_written_in_sentences(posed):
    said = str(posed.record)
    assert "repaired for the goal circular by the method pose" in said
    assert "under these conditions: exact arithmetic; one picture of 1 x 8 x 6" in said
    assert "every answer is equal to the last bit" in said
    differing = replace(posed.record, confirmed=replace(posed.confirmed, difference=2e-7), cost=1e-4)
    assert "the largest difference is 2e-07 of the largest magnitude of the answer" in str(differing)
    assert "cost: 1.0e-04 forward passes of the original model" in str(differing)
