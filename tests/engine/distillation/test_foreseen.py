"""Times of distillations come from a process of its own, one by one, also where one cannot be foreseen."""

from engine.distillation.foreseen import foresee


def test_times_are_foreseen_in_a_process_of_its_own():
    asked = [('{"preset":"quick","seeds":1,"images_per_class":2}', 60, 8, 3), ('{"preset":"no such"}', 60, 8, 3)]
    known, unknown = foresee(asked)
    assert known is not None and known > 0
    assert unknown is None
