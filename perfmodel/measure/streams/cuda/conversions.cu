// FP16 and BF16 as bit patterns, to nearest even, NaN as 0x7FFF; whole numbers that saturate, NaN as 0. In PTX, whose
// manual defines all of that where CUDA's intrinsics leave it open; without CUDA (tests) the same by integers.

__device__ __forceinline__ u32 brain_of(float x) {
    u32 bits = __float_as_uint(x);
    return magnitude(x) > 0x7F800000u ? 0x7FFFu : (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
}

#ifdef __CUDACC__
__device__ __forceinline__ int whole_below(float x) {
    int whole;
    asm("cvt.rmi.s32.f32 %0, %1;" : "=r"(whole) : "f"(x));
    return whole;
}
__device__ __forceinline__ int whole_near(float x) {
    int whole;
    asm("cvt.rni.s32.f32 %0, %1;" : "=r"(whole) : "f"(x));
    return whole;
}
__device__ __forceinline__ u32 half_of(float x) {
    u16 h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
    return h;
}
__device__ __forceinline__ float float_of(u32 half) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"((u16)half));
    return x;
}
#else
int held(float whole) {
    if (whole != whole) return 0;
    return whole >= 2147483648.0f ? 2147483647 : whole < -2147483648.0f ? -2147483647 - 1 : (int)whole;
}
int whole_below(float x) { return held(std::floor(x)); }
int whole_near(float x) { return held(std::nearbyint(x)); }
u32 half_of(float x) {
    u32 sign = __float_as_uint(x) >> 16 & 0x8000u, size = magnitude(x);
    if (size > 0x7F800000u) return 0x7FFFu;
    if (size >= 0x477FF000u) return sign | 0x7C00u;  // 65520 and more round to infinity
    if (size < 0x38800000u) {                          // denormal: a whole number of 2^-24
        u32 shift = 126 - (size >> 23);
        if (shift > 24) return sign;
        u32 whole = (size & 0x7FFFFFu) | 0x800000u, kept = whole >> shift, rest = whole << (32 - shift);
        return sign | (kept + (rest > 0x80000000u || (rest == 0x80000000u && kept & 1u)));
    }
    return sign | ((size - 0x38000000u + 0xFFFu + (size >> 13 & 1u)) >> 13);
}
float float_of(u32 half) {
    u32 sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31u, mantissa = half & 0x3FFu;
    if (exponent == 31) return __uint_as_float(sign | 0x7F800000u | mantissa << 13);
    if (exponent) return __uint_as_float(sign | (exponent + 112) << 23 | mantissa << 13);
    float size = (float)mantissa * 5.9604644775390625e-8f;
    return __uint_as_float(sign | __float_as_uint(size));
}
#endif
