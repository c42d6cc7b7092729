// Enough of CUDA to run our own device code on the CPU: all threads one after the other, time as far as it is told.
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>
#define PM_HOST
#define __global__
#define __device__
struct Index { unsigned x, y, z; };
static Index threadIdx, blockIdx, blockDim, gridDim;
extern "C" { unsigned long long pm_host_ns = 0; }
static const int SMS = 2;
static unsigned long long timer_ns() { return pm_host_ns += 32; }
static long long clock64() { return (long long)(pm_host_ns / 2 * 3); }
static unsigned long long multiprocessor() { return blockIdx.x % SMS; }
template <class T> static T atomicAdd(T *at, T value) { T old = *at; *at += value; return old; }

template <class... A, size_t... I>
static void call(void (*entry)(A...), void **with, std::index_sequence<I...>) {
  entry(*(std::remove_reference_t<A> *)with[I]...);
}
template <class... A> static void call(void (*entry)(A...), void **with) { call(entry, with, std::index_sequence_for<A...>()); }

static void run_grid(void (*body)(void **), void **with, const unsigned *grid, const unsigned *block) {
  gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
  for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
        for (threadIdx.z = 0; threadIdx.z < block[2]; ++threadIdx.z)
          for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
            for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x) body(with);
}
#define HOST_ENTRY(name)                                                                             \
  extern "C" void host_##name(const unsigned *grid, const unsigned *block, void **with) {             \
    run_grid([](void **given) { call(name, given); }, with, grid, block);                             \
  }
