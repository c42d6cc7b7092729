// What a step does besides GEMMs and quantising: dequantise, update, cast, unscale and check.

__device__ __forceinline__ float4 dequantised(int a, int b, int c, int d, float by) {
    return make_float4(__fmul_rn((float)a, by), __fmul_rn((float)b, by), __fmul_rn((float)c, by), __fmul_rn((float)d, by));
}
__device__ __forceinline__ float4 dequantised(int4 v, float by) { return dequantised(v.x, v.y, v.z, v.w, by); }
__device__ __forceinline__ float4 dequantised(short4 v, float by) { return dequantised(v.x, v.y, v.z, v.w, by); }
__device__ __forceinline__ float4 dequantised(char4 v, float by) { return dequantised(v.x, v.y, v.z, v.w, by); }

template <class T, class FOUR>
__device__ __forceinline__ void dequantise_all(const T *codes, float *x, const float *scale, u64 n) {
    const float inverse = scale[1];
    batched(n / 4, [&](u64 i) { return ((const FOUR *)codes)[i]; },
            [&](u64 i, FOUR v) { ((float4 *)x)[i] = dequantised(v, inverse); });
    if (FIRST < n % 4) x[n - 1 - FIRST] = __fmul_rn((float)codes[n - 1 - FIRST], inverse);
}
ENTRY dequantise_1(const signed char *__restrict__ codes, float *__restrict__ x, const float *__restrict__ scale, u64 n) {
    dequantise_all<signed char, char4>(codes, x, scale, n);
}
ENTRY dequantise_2(const short *__restrict__ codes, float *__restrict__ x, const float *__restrict__ scale, u64 n) {
    dequantise_all<short, short4>(codes, x, scale, n);
}
ENTRY dequantise_4(const int *__restrict__ codes, float *__restrict__ x, const float *__restrict__ scale, u64 n) {
    dequantise_all<int, int4>(codes, x, scale, n);
}

struct Rates {
    float rate, momentum, decay;
};
__device__ __forceinline__ void step_one(float &w, float &v, float g, Rates r) {
    v = __fadd_rn(__fmul_rn(r.momentum, v), scaled_sum(r.decay, w, g));
    w = scaled_sum(-r.rate, v, w);
}
__device__ __forceinline__ void step_four(float4 &w, float4 &v, float4 g, Rates r) {
    step_one(w.x, v.x, g.x, r), step_one(w.y, v.y, g.y, r), step_one(w.z, v.z, g.z, r), step_one(w.w, v.w, g.w, r);
}

ENTRY update(float *__restrict__ weights, float *__restrict__ momentum, const float *__restrict__ gradient, u64 n, float rate,
             float mu, float decay) {
    Rates rates = {rate, mu, decay};
    EACH(i, n / 4) {
        float4 w = ((float4 *)weights)[i], v = ((float4 *)momentum)[i];
        step_four(w, v, ((const float4 *)gradient)[i], rates);
        ((float4 *)weights)[i] = w, ((float4 *)momentum)[i] = v;
    }
    if (FIRST < n % 4) step_one(weights[n - 1 - FIRST], momentum[n - 1 - FIRST], gradient[n - 1 - FIRST], rates);
}

template <int ROUNDING, class CODE>
__device__ __forceinline__ u32 update_codes(float *weights, float *momentum, const float *gradient, CODE *codes, float scale, u64 n,
                                            Rates rates, Key key, int bits) {
    u32 largest = 0;
    EACH(group, (n + 15) / 16) {
        float w[16], v[16], g[16];
        int q[16], count = present(group, n);
        const u64 at = 16 * group;
        if (count == 16) load16(weights + at, w), load16(momentum + at, v), load16(gradient + at, g);
        else load_some(weights + at, w, count), load_some(momentum + at, v, count), load_some(gradient + at, g, count);
#pragma unroll
        for (int k = 0; k < 16; k++) step_one(w[k], v[k], g[k], rates);
        largest = largest16(largest, w);
        if (count == 16) store16(weights + at, w), store16(momentum + at, v);
        else store_some(weights + at, w, count), store_some(momentum + at, v, count);
        code16<ROUNDING>(w, q, group, scale, key, bits);
        if (count == 16) store_codes(codes + at, q);
        else store_some(codes + at, q, count);
    }
    return largest;
}

#define UPDATE_QUANTISE(name, ROUNDING, CODE)                                                                              \
    ENTRY update_quantise_##name(float *__restrict__ weights, float *__restrict__ momentum,                                \
                                 const float *__restrict__ gradient, CODE *__restrict__ codes,                            \
                                 const float *__restrict__ scale, float *absmax, float *next_scale, u32 *workspace, u64 n, \
                                 float rate, float mu, float decay, u32 low, u32 high, u32 step, int bits) {               \
        Rates rates = {rate, mu, decay};                                                                                   \
        Key key = {low, high, step};                                                                                       \
        u32 largest = update_codes<ROUNDING>(weights, momentum, gradient, codes, scale[0], n, rates, key, bits);           \
        finish_absmax(largest, absmax, next_scale, workspace, bits);                                                       \
    }
UPDATE_QUANTISE(nearest_8, NEAREST, signed char)
UPDATE_QUANTISE(nearest_16, NEAREST, short)
UPDATE_QUANTISE(philox10x16_8, OCTETS, signed char)
UPDATE_QUANTISE(philox10x16_16, OCTETS, short)
UPDATE_QUANTISE(philox10x4_8, WORDS, signed char)
UPDATE_QUANTISE(philox10x4_16, WORDS, short)

struct ToHalf {
    static __device__ __forceinline__ u32 of(float x) { return half_of(x); }
};
struct ToBrain {
    static __device__ __forceinline__ u32 of(float x) { return brain_of(x); }
};
template <class TO>
__device__ __forceinline__ u32 two_of(float a, float b) { return TO::of(a) | TO::of(b) << 16; }

template <class TO>
__device__ __forceinline__ void cast_all(const float *x, u16 *out, u64 n) {
    EACH(i, n / 8) {
        float4 a = ((const float4 *)x)[2 * i], b = ((const float4 *)x)[2 * i + 1];
        ((uint4 *)out)[i] = vector(two_of<TO>(a.x, a.y), two_of<TO>(a.z, a.w), two_of<TO>(b.x, b.y), two_of<TO>(b.z, b.w));
    }
    if (FIRST < n % 8) out[n - 1 - FIRST] = (u16)TO::of(x[n - 1 - FIRST]);
}
ENTRY cast_fp16(const float *__restrict__ x, u16 *__restrict__ out, u64 n) { cast_all<ToHalf>(x, out, n); }
ENTRY cast_bf16(const float *__restrict__ x, u16 *__restrict__ out, u64 n) { cast_all<ToBrain>(x, out, n); }

// In place: gradient *= inverse of the loss scale; the flag becomes 1 where a gradient was infinite or NaN before.
__device__ __forceinline__ bool lost(float x) { return magnitude(x) >= 0x7F800000u; }
ENTRY check(float *__restrict__ gradient, u32 *flag, u64 n, float inverse) {
    bool found = false;
    batched(n / 4, [&](u64 i) { return ((const float4 *)gradient)[i]; }, [&](u64 i, float4 v) {
        found = found || lost(v.x) || lost(v.y) || lost(v.z) || lost(v.w);
        ((float4 *)gradient)[i] =
            make_float4(__fmul_rn(v.x, inverse), __fmul_rn(v.y, inverse), __fmul_rn(v.z, inverse), __fmul_rn(v.w, inverse));
    });
    if (FIRST < n % 4) {
        float &last = gradient[n - 1 - FIRST];
        found = found || lost(last);
        last = __fmul_rn(last, inverse);
    }
    if (found) atomicOr(flag, 1u);
}
