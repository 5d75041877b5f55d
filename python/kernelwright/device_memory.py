# SPDX-License-Identifier: Apache-2.0
"""Memory that the coordinator owns, as tensors without a copy: device memory by CUDA's driver, host memory by mmap
(for tests without a GPU). docs/torch-worker.md, "On a GPU"."""

import ctypes
import gc
import mmap
import os

import torch

from kernelwright.channel import ALIGNMENT
from kernelwright.errors import EnvironmentError_, KernelwrightError

_POSIX_FD = 1
_DEVICE = 1
_READ_WRITE = 3


class _Location(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("id", ctypes.c_int)]


class _Access(ctypes.Structure):
    _fields_ = [("location", _Location), ("flags", ctypes.c_int)]


class Driver:
    """The few functions of libcuda that mapping needs. PyTorch has made the context current already."""

    _shared = None

    @classmethod
    def get(cls):
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    def __init__(self):
        name = os.environ.get("KERNELWRIGHT_CUDA_DRIVER") or "libcuda.so.1"
        try:
            self._library = ctypes.CDLL(name)
        except OSError as error:
            raise EnvironmentError_(f"cannot load {name}: {error}") from None
        address, size, handle = ctypes.c_uint64, ctypes.c_size_t, ctypes.c_uint64
        self._arguments = {
            "cuMemImportFromShareableHandle": [ctypes.POINTER(handle), ctypes.c_void_p, ctypes.c_int],
            "cuMemAddressReserve": [ctypes.POINTER(address), size, size, address, ctypes.c_uint64],
            "cuMemAddressFree": [address, size],
            "cuMemMap": [address, size, size, handle, ctypes.c_uint64],
            "cuMemUnmap": [address, size],
            "cuMemSetAccess": [address, size, ctypes.POINTER(_Access), size],
            "cuMemRelease": [handle],
            "cuCtxResetPersistingL2Cache": [],
            "cuGetErrorName": [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)],
        }

    def call(self, name, *arguments) -> None:
        """Raises with the function's name and the driver's word for the error."""
        function = getattr(self._library, name)
        function.argtypes, function.restype = self._arguments[name], ctypes.c_int
        code = function(*arguments)
        if code != 0:
            raise EnvironmentError_(f"{name}: {self._word(code)}")

    def _word(self, code) -> str:
        text = ctypes.c_char_p()
        function = self._library.cuGetErrorName
        function.argtypes, function.restype = self._arguments["cuGetErrorName"], ctypes.c_int
        if function(code, ctypes.byref(text)) == 0 and text.value:
            return text.value.decode()
        return f"CUDA error {code}"


class _DeviceSegment:
    """One imported allocation, mapped read-write at an address of its own. A tensor over it keeps it alive, but
    `close` unmaps all the same."""

    def __init__(self, fd, size, device):
        driver = Driver.get()
        self._driver, self._size, self._address = driver, size, ctypes.c_uint64(0)
        handle = ctypes.c_uint64(0)
        mapped = False
        driver.call("cuMemImportFromShareableHandle", ctypes.byref(handle), ctypes.c_void_p(fd), _POSIX_FD)
        try:
            driver.call("cuMemAddressReserve", ctypes.byref(self._address), size, 0, 0, 0)
            driver.call("cuMemMap", self._address, size, 0, handle, 0)
            mapped = True
            access = _Access(_Location(_DEVICE, device.index), _READ_WRITE)
            driver.call("cuMemSetAccess", self._address, size, ctypes.byref(access), 1)
        except EnvironmentError_:
            if mapped:
                driver.call("cuMemUnmap", self._address, size)
            if self._address.value:
                driver.call("cuMemAddressFree", self._address, size)
            raise
        finally:
            driver.call("cuMemRelease", handle)  # the mapping keeps the memory
        self.__cuda_array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (self._address.value, False),
            "strides": None,
            "version": 3,
        }

    def tensor(self, device):
        return torch.as_tensor(self, device=device)

    def close(self):
        address, self._address = self._address, ctypes.c_uint64(0)
        if address.value:
            self._driver.call("cuMemUnmap", address, self._size)
            self._driver.call("cuMemAddressFree", address, self._size)


class _HostSegment:
    """A memfd, shared."""

    def __init__(self, fd, size, device):
        self._area = mmap.mmap(fd, size)

    def tensor(self, device):
        return torch.frombuffer(self._area, dtype=torch.uint8)

    def close(self):
        self._area = None  # unmapped with the last tensor


class Memories:
    """What is mapped now, by the coordinator's ids."""

    def __init__(self):
        self._held = {}  # id -> [(segment, its bytes as a u8 tensor)]

    def map(self, number, sizes, fds, device) -> None:
        """Maps one descriptor per size; they stay the caller's to close."""
        if number in self._held:
            raise KernelwrightError(f"memory {number} is mapped already")
        if len(sizes) != len(fds) or any(size <= 0 for size in sizes):
            raise KernelwrightError(f"{len(fds)} descriptors for {len(sizes)} segments")
        kind = _HostSegment if device.type == "cpu" else _DeviceSegment
        held = self._held[number] = []
        try:
            for fd, size in zip(fds, sizes, strict=True):
                segment = kind(fd, size, device)
                held.append((segment, segment.tensor(device)))
        except BaseException:
            self.unmap([number])
            raise

    def unmap(self, numbers) -> None:
        """No tensor over this memory may be in use any more."""
        gc.collect()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        for number in numbers:
            segments = self._held.pop(number, None)
            if segments is None:
                raise KernelwrightError(f"memory {number} is not mapped")
            for segment, _ in segments:
                segment.close()

    def view(self, place, dtype, shape) -> torch.Tensor:
        """The tensor at [id, segment, offset]: contiguous, of the memory itself."""
        number, segment, offset = place
        held = self._held.get(number)
        if held is None or not 0 <= segment < len(held):
            raise KernelwrightError(f"no memory {number}, segment {segment}")
        flat = held[segment][1]
        count = 1
        for extent in shape:
            count *= extent
        end = offset + count * dtype.itemsize
        if offset < 0 or offset % ALIGNMENT or end > flat.numel():
            raise KernelwrightError(f"a tensor outside of memory {number}, segment {segment}", offset=offset, end=end)
        return flat[offset:end].view(dtype).view(tuple(shape))
