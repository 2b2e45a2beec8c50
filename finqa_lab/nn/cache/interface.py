"""What a decoder asks of a cache.

One pass over ``new`` positions: the decoder reads :meth:`Cache.query_positions` and :meth:`Cache.key_positions`; each
layer calls :meth:`Cache.append` and attends to what it returns; at the end the decoder calls :meth:`Cache.advance`. A
cache never looks inside the tensors: grouped attention stores keys and values, latent attention stores latents and
rotary keys, and every kind of cache serves both (``DecoderConfig.cache_shape``).
"""

from abc import ABC, abstractmethod

from torch import Tensor


class Cache(ABC):
    """Base of all caches.

    Attributes:
        length: positions seen so far, padding included; the next one gets this number.
    """

    length: int = 0

    @abstractmethod
    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store what one layer computed for the new positions, and return all that it may attend to.

        Args:
            layer: 0..layers-1.
            key: (B, H, T_new, w_key), already turned to its position.
            value: (B, H, T_new, w_value).

        Returns:
            (B, H, K, w_key) and (B, H, K, w_value); the order and number K of keys are those of
            :meth:`key_positions`. Every number returned is finite, also where a position is empty: a masked weight of
            zero would turn an infinity into NaN.

        Raises:
            CourseError: when there is no room left.
        """

    def advance(self, new: int) -> None:
        """Count ``new`` positions as seen: called once a pass, after every layer has appended."""
        self.length += new

    def query_positions(self, new: int) -> Tensor | None:
        """(B, new) int64 positions of the new tokens; None when all rows stand at ``length .. length + new - 1``."""
        return None

    def key_positions(self, new: int) -> Tensor | None:
        """(K,) or (B, K) int64 positions of the keys that :meth:`append` is going to return, negative where empty.

        None stands for ``0 .. length + new - 1``, in order.
        """
        return None

    def truncate(self, length: int) -> None:
        """Forget the positions from ``length`` on, as if they had never been appended.

        Raises:
            NotImplementedError: when this kind of cache has already overwritten what it would need.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot go back")

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that its tensors occupy, filled or not."""
