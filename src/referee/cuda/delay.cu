// SPDX-License-Identifier: Apache-2.0
// Source of delay.ptx, which scripts/ptx writes; apart from judge.cu: bench workers load it alone.
// Keeps a stream busy for so many nanoseconds.
extern "C" __global__ void kw_delay(unsigned long long nanoseconds) {
  unsigned long long start, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - start < nanoseconds);
}
