"""How fast networks are on the computer where they are chosen."""

from collections.abc import Callable, Mapping, Sequence

from benchmark.method import Method
from benchmark.scores import method_key
from model_library.images.frame import Grey

_ROUNDS = 3


def throughputs(
    methods: Sequence[Method], pixels: Grey, kinds: Mapping[str, str], clock: Callable[[], float]
) -> dict[str, float]:
    """Time networks on one crop [Y, X], in turns, after a first sight of it: input megapixels per second.

    Other work on the computer only ever makes a network slower, so the fastest time counts, and of networks
    that compute the same (of one of `kinds`, network -> its kind) the fastest of all.
    """
    fastest: dict[str, float] = {}
    for sight in range(1 + _ROUNDS):
        for method in methods:
            start = clock()
            method(pixels)
            seconds, kind = clock() - start, kinds[method_key(method.ref)]
            if sight and seconds > 0:
                fastest[kind] = max(fastest.get(kind, 0.0), pixels.size / 1e6 / seconds)
    keys = [method_key(method.ref) for method in methods]
    return {key: fastest[kinds[key]] for key in keys if kinds[key] in fastest}
