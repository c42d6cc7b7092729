// What all kernels share: types, grid-stride loops, reductions whose last block finishes the work, divisors.
// The files of this folder are compiled as one text (sources.py); nothing is included, so that NVRTC can do it.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define THREADS 256
#define ENTRY extern "C" __global__ void __launch_bounds__(THREADS, 4)  // 64 registers: no spills, and all of Turing's threads
#define FIRST (blockIdx.x * (u64)blockDim.x + threadIdx.x)
#define STRIDE (gridDim.x * (u64)blockDim.x)
#define EACH(i, count) for (u64 i = FIRST; i < (count); i += STRIDE)

__device__ __forceinline__ u32 larger(u32 a, u32 b) { return a > b ? a : b; }
__device__ __forceinline__ u32 magnitude(float x) { return __float_as_uint(x) & 0x7FFFFFFFu; }  // ordered like |x|, NaN on top
__device__ __forceinline__ uint4 vector(u32 a, u32 b, u32 c, u32 d) { return make_uint4(a, b, c, d); }

// FP32 * FP32 + FP32 with both roundings: a fused one would differ from NumPy.
__device__ __forceinline__ float scaled_sum(float x, float factor, float term) { return __fadd_rn(__fmul_rn(x, factor), term); }

// store(i, load(i)) for all i of a grid-stride loop, four loads under way before the first store.
template <class LOAD, class STORE>
__device__ __forceinline__ void batched(u64 count, LOAD load, STORE store) {
    u64 i = FIRST;
    for (; i + 3 * STRIDE < count; i += 4 * STRIDE) {
        auto a = load(i), b = load(i + STRIDE), c = load(i + 2 * STRIDE), d = load(i + 3 * STRIDE);
        store(i, a);
        store(i + STRIDE, b);
        store(i + 2 * STRIDE, c);
        store(i + 3 * STRIDE, d);
    }
    for (; i < count; i += STRIDE) store(i, load(i));
}

// u64 division is slow, and 32-bit division not free: x / divisor as a multiplication, for x < 2^31.
struct Divisor {
    u32 divisor, magic, shift;
};
__device__ __forceinline__ u32 quotient(u32 x, Divisor d) { return d.divisor == 1 ? x : __umulhi(x, d.magic) >> d.shift; }
__device__ __forceinline__ u32 split(u32 &x, Divisor d) {  // x becomes the quotient; returns the remainder
    u32 whole = quotient(x, d), rest = x - whole * d.divisor;
    x = whole;
    return rest;
}

__device__ __forceinline__ u32 block_max(u32 value) {  // in thread 0
    __shared__ u32 of_warp[THREADS / 32];
    for (int step = 16; step; step >>= 1) value = larger(value, __shfl_xor_sync(0xFFFFFFFFu, value, step));
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x == 0)
        for (u32 i = 1; i < THREADS / 32; i++) value = larger(value, of_warp[i]);
    return value;
}

// True in the thread that finishes last of all blocks' first threads; the counter returns to zero for the next launch.
__device__ __forceinline__ bool is_last(u32 *counter) {
    __threadfence();
    bool last = atomicInc(counter, gridDim.x - 1) == gridDim.x - 1;
    if (last) __threadfence();
    return last;
}

// The scale 2^floor(log2((2^(bits-1) - 1/2) / max)) and its inverse, by the exponents and mantissas: no log is exact enough.
__device__ __forceinline__ void store_scale(float *pair, u32 largest, int bits) {
    int exponent = 0;
    if (largest >= 0x7F800000u) {
        exponent = -126;
    } else if (largest) {
        const int power = (int)(largest >> 23);
        const u32 mantissa = largest & 0x7FFFFFu;
        const u32 head = ((1u << (bits - 1)) - 1u) << (24 - bits);  // (2^bits - 1) / 2 is 1.11…1 (bits ones) times 2^(bits - 2)
        exponent = bits - 2 - (power - 127) - (head >= mantissa ? 0 : 1);
        exponent = exponent < -126 ? -126 : exponent > 126 ? 126 : exponent;  // denormals: 126 or more, too
    }
    bool nan = largest > 0x7F800000u;
    pair[0] = __uint_as_float(nan ? 0x7FC00000u : (u32)(127 + exponent) << 23);
    pair[1] = __uint_as_float(nan ? 0x7FC00000u : (u32)(127 - exponent) << 23);
}

// The largest magnitude of all blocks and the scale that follows from it; workspace[2] is zero before and after.
__device__ __forceinline__ void finish_absmax(u32 mine, float *absmax, float *next_scale, u32 *workspace, int bits) {
    u32 value = block_max(mine);
    if (threadIdx.x) return;
    atomicMax(&workspace[0], value);
    if (!is_last(&workspace[1])) return;
    u32 largest = atomicExch(&workspace[0], 0u);
    *absmax = __uint_as_float(largest);
    store_scale(next_scale, largest, bits);
}
