"""The convolution behind a GEMM in implicit form: what a kernel needs to know that reads pixels instead of a matrix."""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[int, int]
SIZES = 14  # numbers of `Convolution.numbers`


@dataclass(frozen=True, slots=True)
class Convolution:
    """One pass (`fprop`, `dgrad`, `wgrad`) over so many images [channels, height, width], with so many filters.

    `kernel`, `stride`, `padding` and `dilation` are (vertical, horizontal).
    """

    pass_: str
    images: int
    channels: int
    height: int
    width: int
    filters: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def numbers(self) -> tuple[int, ...]:
        """All sizes in the order of the fields, as files hold them."""
        sizes = (self.images, self.channels, self.height, self.width, self.filters)
        return (*sizes, *self.kernel, *self.stride, *self.padding, *self.dilation, self.groups)

    @classmethod
    def of_numbers(cls, pass_: str, numbers: tuple[int, ...]) -> Convolution:
        """The convolution whose `numbers` these are.

        >>> one = Convolution("fprop", 2, 3, 15, 17, 5, (7, 5), (2, 1), (3, 0))
        >>> Convolution.of_numbers("fprop", one.numbers) == one
        True
        """
        pairs = (numbers[i : i + 2] for i in range(5, 13, 2))
        return cls(pass_, *numbers[:5], *map(tuple, pairs), numbers[13])

    @property
    def out(self) -> Pair:
        """Output pixels: ⌊(size + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1.

        >>> Convolution("fprop", 2, 3, 15, 17, 5, (7, 5), (2, 1), (3, 0)).out
        (8, 13)
        """
        each = zip(
            (self.height, self.width), self.kernel, self.stride, self.padding, self.dilation, strict=True
        )  # fmt: skip
        p, q = ((n + 2 * pad - d * (r - 1) - 1) // step + 1 for n, r, step, pad, d in each)
        return p, q

    @property
    def text(self) -> str:
        """How messages call it; different ones never read alike.

        >>> Convolution("dgrad", 2, 3, 15, 17, 5, (7, 5), (2, 1), (3, 0)).text
        'dgrad 2x3x15x17*5x7x5 stride 2x1 pad 3x0'
        """
        sizes = "x".join(map(str, self.numbers[:4])) + "*" + "x".join(map(str, (self.filters, *self.kernel)))
        usual = {"stride": (1, 1), "pad": (0, 0), "dilation": (1, 1)}
        given = {"stride": self.stride, "pad": self.padding, "dilation": self.dilation}
        parts = [f" {name} {a}x{b}" for name, (a, b) in given.items() if (a, b) != usual[name]]
        return f"{self.pass_} {sizes}{''.join(parts)}" + (f" groups {self.groups}" if self.groups > 1 else "")
