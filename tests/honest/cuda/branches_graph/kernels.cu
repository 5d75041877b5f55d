// SPDX-License-Identifier: Apache-2.0
// y = tanh(x wᵀ + b), x f32[32, 128], w f32[128, 128]: one small layer of one branch. 8 blocks of
// 256 threads, 16 columns each.

constexpr int kRows = 32, kWidth = 128, kColumns = 16, kPitch = kWidth + 4;

extern "C" __global__ void __launch_bounds__(256)
    layer(const float* x, const float* w, const float* b, float* y) {
  __shared__ alignas(16) float xs[kRows][kPitch], ws[kColumns][kPitch];
  int first = blockIdx.x * kColumns;
  for (int i = threadIdx.x; i < kRows * kWidth / 4; i += 256) {
    int row = i / (kWidth / 4), at = i % (kWidth / 4) * 4;
    *reinterpret_cast<float4*>(&xs[row][at]) =
        *reinterpret_cast<const float4*>(x + row * kWidth + at);
  }
  for (int i = threadIdx.x; i < kColumns * kWidth / 4; i += 256) {
    int row = i / (kWidth / 4), at = i % (kWidth / 4) * 4;
    *reinterpret_cast<float4*>(&ws[row][at]) =
        *reinterpret_cast<const float4*>(w + (first + row) * kWidth + at);
  }
  __syncthreads();
  int column = threadIdx.x % kColumns, row = threadIdx.x / kColumns;  // and row + 16
  float low = 0, high = 0;
#pragma unroll 8
  for (int k = 0; k < kWidth; k += 4) {
    float4 a = *reinterpret_cast<float4*>(&xs[row][k]);
    float4 c = *reinterpret_cast<float4*>(&xs[row + 16][k]);
    float4 m = *reinterpret_cast<float4*>(&ws[column][k]);
    low += (a.x * m.x + a.y * m.y) + (a.z * m.z + a.w * m.w);
    high += (c.x * m.x + c.y * m.y) + (c.z * m.z + c.w * m.w);
  }
  float bias = b[first + column];
  y[row * kWidth + first + column] = tanhf(low + bias);
  y[(row + 16) * kWidth + first + column] = tanhf(high + bias);
}
