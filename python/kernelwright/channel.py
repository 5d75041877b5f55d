# SPDX-License-Identifier: Apache-2.0
"""Messages over a Unix stream socket, and tensors in shared memory.

Framing (the same as src/base/channel.h): 4-byte little-endian length, 4-byte count of descriptors, then
UTF-8 JSON; the descriptors travel with the first byte of the header.
"""

import json
import mmap
import os
import socket
import struct

import torch

MAX_BYTES = 64 << 20
MAX_FDS = 64
ALIGNMENT = 64

DTYPE_NAMES = {
    torch.float64: "f64",
    torch.float32: "f32",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "u8",
    torch.uint32: "u32",
    torch.bool: "bool",
}
DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()}


class Closed(Exception):
    """The peer is gone."""


class Channel:
    def __init__(self, sock: socket.socket):
        self._sock = sock

    def send(self, body: dict, fds=()) -> None:
        data = json.dumps(body, allow_nan=False).encode()
        if len(data) > MAX_BYTES or len(fds) > MAX_FDS:
            raise ValueError("message too large")
        header = struct.pack("<II", len(data), len(fds))
        sent = socket.send_fds(self._sock, [header], list(fds)) if fds else self._sock.send(header)
        self._sock.sendall(header[sent:] + data)

    def receive(self) -> tuple[dict, list[int]]:
        """Blocks for the next message; raises Closed at its end."""
        header, fds, _, _ = socket.recv_fds(self._sock, 8, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
        if not header:
            raise Closed
        header += self._exactly(8 - len(header))
        length, count = struct.unpack("<II", header)
        if length > MAX_BYTES or count != len(fds):
            for fd in fds:
                os.close(fd)
            raise ValueError("malformed message header")
        body = json.loads(self._exactly(length))
        if not isinstance(body, dict):
            raise ValueError("a message must be a JSON object")
        return body, list(fds)

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._sock.recv(min(count, 1 << 20))
            if not part:
                raise Closed
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._sock.close()


class Packer:
    """Lays tensors out one after another at multiples of 64 bytes and writes them into one memfd."""

    def __init__(self):
        self._tensors = []
        self._size = 0

    def add(self, tensor: torch.Tensor) -> dict:
        """Returns the descriptor {dtype, shape, offset}; the tensor is kept until `write`."""
        tensor = tensor.detach()
        if tensor.dtype not in DTYPE_NAMES:
            raise TypeError(f"dtype {tensor.dtype} has no name in the graph format")
        offset = self._size
        self._tensors.append((offset, tensor))
        end = offset + tensor.numel() * tensor.element_size()
        self._size = -(-end // ALIGNMENT) * ALIGNMENT
        return {"dtype": DTYPE_NAMES[tensor.dtype], "shape": list(tensor.shape), "offset": offset}

    @property
    def size(self) -> int:
        """Bytes of the memfd, in whole pages and never zero."""
        return max(1, -(-self._size // mmap.PAGESIZE)) * mmap.PAGESIZE

    def write(self, name: str) -> int:
        """The descriptor of a new memfd with everything added so far."""
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, self.size)
            area = mmap.mmap(fd, self.size)
            flat = torch.frombuffer(area, dtype=torch.uint8)
            for offset, tensor in self._tensors:
                count = tensor.numel()
                if count:
                    end = offset + count * tensor.element_size()
                    flat[offset:end].view(tensor.dtype).view(tensor.shape).copy_(tensor)
            return fd
        except BaseException:
            os.close(fd)
            raise


def map_fd(fd: int) -> torch.Tensor:
    """The bytes of a memfd as a private u8 tensor (copy on write); closes the descriptor."""
    try:
        size = os.fstat(fd).st_size
        area = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    finally:
        os.close(fd)
    return torch.frombuffer(area, dtype=torch.uint8)


def unpack(flat: torch.Tensor, description: dict) -> torch.Tensor:
    """A tensor of its own with the content that `description` names in `flat`."""
    dtype = DTYPES[description["dtype"]]
    shape = [int(extent) for extent in description["shape"]]
    out = torch.empty(shape, dtype=dtype)
    begin = int(description["offset"])
    end = begin + out.numel() * out.element_size()
    if begin < 0 or begin % ALIGNMENT or end > flat.numel() or any(extent < 0 for extent in shape):
        raise ValueError("tensor outside its memory")
    if out.numel():
        out.copy_(flat[begin:end].view(dtype).view(shape))
    return out
