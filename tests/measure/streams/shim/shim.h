// Enough of CUDA to run a kernel's source on the CPU: blocks one after the other, the threads of a block as fibers that
// take turns at barriers and shuffles. Compile with -ffp-contract=off.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <ucontext.h>

#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) short4 { short x, y, z, w; };
struct alignas(4) char4 { signed char x, y, z, w; };
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// A CPU forgives what faults on a GPU: -fsanitize=alignment calls this for every access that is not aligned.
extern "C" int misaligned = 0;
extern "C" void __ubsan_handle_type_mismatch_v1(void *, void *) { misaligned++; }

struct Index { unsigned x; };
static Index threadIdx, blockIdx, blockDim, gridDim;

struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(1 << 16);
    bool done;
};
struct Barrier {
    unsigned arrived = 0, round = 0;
};
static std::vector<Fiber> fibers;
static std::vector<Barrier> barriers;  // of the block, then of each warp
static ucontext_t scheduler;
static void (*body)(void **);
static void **given;

static void wait_at(Barrier &barrier, unsigned threads) {
    unsigned me = threadIdx.x, round = barrier.round;
    if (++barrier.arrived == threads) {
        barrier.arrived = 0;
        barrier.round++;
        return;
    }
    while (barrier.round == round) swapcontext(&fibers[me].context, &scheduler);
}
static void __syncthreads() { wait_at(barriers[0], blockDim.x); }
static unsigned __shfl_xor_sync(unsigned, unsigned value, int step) {
    static unsigned slots[1024];
    Barrier &warp = barriers[1 + threadIdx.x / 32];
    unsigned me = threadIdx.x;
    slots[me] = value;
    wait_at(warp, 32);
    unsigned found = slots[me ^ step];
    wait_at(warp, 32);
    return found;
}

static unsigned __float_as_uint(float x) { unsigned u; std::memcpy(&u, &x, 4); return u; }
static float __uint_as_float(unsigned u) { float x; std::memcpy(&x, &u, 4); return x; }
static float __fadd_rn(float a, float b) { return a + b; }
static float __fmul_rn(float a, float b) { return a * b; }
static unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static unsigned __byte_perm(unsigned x, unsigned y, unsigned choice) {
    uint64_t bytes = (uint64_t)y << 32 | x;
    unsigned out = 0;
    for (int i = 0; i < 4; i++) out |= (unsigned)(bytes >> 8 * (choice >> 4 * i & 7) & 255) << 8 * i;
    return out;
}
static void __threadfence() {}
static unsigned atomicMax(unsigned *at, unsigned v) { unsigned old = *at; *at = old > v ? old : v; return old; }
static unsigned atomicXor(unsigned *at, unsigned v) { unsigned old = *at; *at ^= v; return old; }
static unsigned atomicOr(unsigned *at, unsigned v) { unsigned old = *at; *at |= v; return old; }
static unsigned atomicExch(unsigned *at, unsigned v) { unsigned old = *at; *at = v; return old; }
static unsigned atomicInc(unsigned *at, unsigned top) { unsigned old = *at; *at = old >= top ? 0 : old + 1; return old; }

static void run_fiber(unsigned thread) {
    body(given);
    fibers[thread].done = true;
}
static void run_block(unsigned threads) {
    barriers.assign(1 + threads / 32, Barrier());
    for (unsigned t = 0; t < threads; t++) {
        Fiber &fiber = fibers[t];
        fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, (void (*)())run_fiber, 1, t);
    }
    for (bool left = true; left;) {
        left = false;
        for (unsigned t = 0; t < threads; t++) {
            if (fibers[t].done) continue;
            threadIdx.x = t;
            swapcontext(&scheduler, &fibers[t].context);
            left = left || !fibers[t].done;
        }
    }
}

template <class... A, size_t... I>
static void call(void (*entry)(A...), void **with, std::index_sequence<I...>) {
    entry(*(std::remove_reference_t<A> *)with[I]...);
}
template <class... A>
static void call(void (*entry)(A...), void **with) { call(entry, with, std::index_sequence_for<A...>()); }

static void run_grid(void (*what)(void **), void **with, unsigned grid, unsigned threads) {
    body = what, given = with, gridDim.x = grid, blockDim.x = threads;
    if (fibers.size() < threads) fibers.resize(threads);
    for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x++) run_block(threads);
}
