// FP32 -> codes of one or two bytes, 16 elements at a time: four 16-byte loads, one or two 16-byte stores.

enum Rounding { NEAREST = 0, WORDS = 4, OCTETS = 16 };  // elements of one call of the generator; NEAREST needs none

struct Key {
    u32 low, high, step;
};

__device__ __forceinline__ uint4 philox(u64 group, Key key) {  // Philox4x32-10 (Salmon et al. 2011) of (group, step)
    uint4 c = vector((u32)group, (u32)(group >> 32), key.step, 0);
    u32 k0 = key.low, k1 = key.high;
#pragma unroll
    for (int i = 0; i < 10; i++) {
        u64 a = (u64)0xD2511F53u * c.x, b = (u64)0xCD9E8D57u * c.z;
        c = vector((u32)(b >> 32) ^ c.y ^ k0, (u32)b, (u32)(a >> 32) ^ c.w ^ k1, (u32)a);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

__device__ __forceinline__ float octet(u32 word, int i) {  // (byte + 1/2) / 256
    return __fadd_rn(__fmul_rn((float)((word >> (8 * i)) & 255u), 1.0f / 256.0f), 1.0f / 512.0f);
}

__device__ __forceinline__ int clamped(int q, int bits) {
    int limit = 1 << (bits - 1);
    return q < -limit ? -limit : q >= limit ? limit - 1 : q;
}

template <int ROUNDING>
__device__ __forceinline__ int code(float x, float scale, float uniform, int bits) {  // NaN converts to 0
    return clamped(ROUNDING == NEAREST ? whole_near(__fmul_rn(x, scale)) : whole_below(scaled_sum(x, scale, uniform)), bits);
}

// The codes of 16 elements, group `group` of the tensor.
template <int ROUNDING>
__device__ __forceinline__ void code16(const float *x, int *q, u64 group, float scale, Key key, int bits) {
    uint4 random = ROUNDING == OCTETS ? philox(group, key) : vector(0, 0, 0, 0);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        if (ROUNDING == WORDS) random = philox(4 * group + j, key);
        u32 word[4] = {random.x, random.y, random.z, random.w};
#pragma unroll
        for (int k = 0; k < 4; k++) {
            float uniform = ROUNDING == OCTETS ? octet(word[j], k) : __fmul_rn((float)(word[k] >> 8), 1.0f / 16777216.0f);
            q[4 * j + k] = code<ROUNDING>(x[4 * j + k], scale, uniform, bits);
        }
    }
}

__device__ __forceinline__ void load16(const float *from, float *x) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
        float4 v = ((const float4 *)from)[j];
        x[4 * j] = v.x, x[4 * j + 1] = v.y, x[4 * j + 2] = v.z, x[4 * j + 3] = v.w;
    }
}
__device__ __forceinline__ void store16(float *to, const float *x) {
#pragma unroll
    for (int j = 0; j < 4; j++) ((float4 *)to)[j] = make_float4(x[4 * j], x[4 * j + 1], x[4 * j + 2], x[4 * j + 3]);
}

__device__ __forceinline__ u32 four_bytes(const int *q) {
    return (q[0] & 255) | (q[1] & 255) << 8 | (q[2] & 255) << 16 | (u32)q[3] << 24;
}
__device__ __forceinline__ u32 two_halves(const int *q) { return (q[0] & 65535) | (u32)q[1] << 16; }
__device__ __forceinline__ uint4 sixteen_bytes(const int *q) {
    return vector(four_bytes(q), four_bytes(q + 4), four_bytes(q + 8), four_bytes(q + 12));
}
__device__ __forceinline__ void store_codes(signed char *to, const int *q) { *(uint4 *)to = sixteen_bytes(q); }
__device__ __forceinline__ void store_codes(short *to, const int *q) {
    ((uint4 *)to)[0] = vector(two_halves(q), two_halves(q + 2), two_halves(q + 4), two_halves(q + 6));
    ((uint4 *)to)[1] = vector(two_halves(q + 8), two_halves(q + 10), two_halves(q + 12), two_halves(q + 14));
}

__device__ __forceinline__ u32 largest16(u32 largest, const float *x) {
#pragma unroll
    for (int k = 0; k < 16; k++) largest = larger(largest, magnitude(x[k]));
    return largest;
}

// How many of the 16 elements of a group exist; those beyond are taken as 0 and not stored.
__device__ __forceinline__ int present(u64 group, u64 n) { return n - 16 * group < 16 ? (int)(n - 16 * group) : 16; }
__device__ __forceinline__ void load_some(const float *from, float *x, int count) {
#pragma unroll
    for (int k = 0; k < 16; k++) x[k] = k < count ? from[k] : 0.0f;
}
template <class T, class U>
__device__ __forceinline__ void store_some(T *to, const U *x, int count) {
#pragma unroll
    for (int k = 0; k < 16; k++)
        if (k < count) to[k] = (T)x[k];
}

template <int ROUNDING, bool RECORD, class CODE>
__device__ __forceinline__ u32 quantise_all(const float *x, CODE *codes, const float *scale, u64 n, Key key, int bits) {
    const float factor = scale[0];
    u32 largest = 0;
    EACH(group, (n + 15) / 16) {
        float value[16];
        int q[16], count = present(group, n);
        if (count == 16) load16(x + 16 * group, value);
        else load_some(x + 16 * group, value, count);
        if (RECORD) largest = largest16(largest, value);
        code16<ROUNDING>(value, q, group, factor, key, bits);
        if (count == 16) store_codes(codes + 16 * group, q);
        else store_some(codes + 16 * group, q, count);
    }
    return largest;
}

#define QUANTISE(name, ROUNDING, CODE)                                                                                  \
    ENTRY quantise_##name(const float *__restrict__ x, CODE *__restrict__ codes, const float *__restrict__ scale, u64 n, \
                          u32 low, u32 high, u32 step, int bits) {                                                       \
        Key key = {low, high, step};                                                                                     \
        quantise_all<ROUNDING, false>(x, codes, scale, n, key, bits);                                                    \
    }                                                                                                                    \
    ENTRY quantise_delayed_##name(const float *__restrict__ x, CODE *__restrict__ codes, const float *__restrict__ scale, \
                                  float *absmax, float *next_scale, u32 *workspace, u64 n, u32 low, u32 high, u32 step,  \
                                  int bits) {                                                                            \
        Key key = {low, high, step};                                                                                     \
        u32 largest = quantise_all<ROUNDING, true>(x, codes, scale, n, key, bits);                                       \
        finish_absmax(largest, absmax, next_scale, workspace, bits);                                                     \
    }
QUANTISE(nearest_8, NEAREST, signed char)
QUANTISE(nearest_16, NEAREST, short)
QUANTISE(philox10x16_8, OCTETS, signed char)
QUANTISE(philox10x16_16, OCTETS, short)
QUANTISE(philox10x4_8, WORDS, signed char)
QUANTISE(philox10x4_16, WORDS, short)

ENTRY absmax(const float *__restrict__ x, float *absmax, float *next_scale, u32 *workspace, u64 n, int bits) {
    u32 largest = 0;
    batched(n / 4, [&](u64 i) { return ((const float4 *)x)[i]; }, [&](u64, float4 v) {
        largest = larger(largest, larger(larger(magnitude(v.x), magnitude(v.y)), larger(magnitude(v.z), magnitude(v.w))));
    });
    if (FIRST < n % 4) largest = larger(largest, magnitude(x[n - 1 - FIRST]));
    finish_absmax(largest, absmax, next_scale, workspace, bits);
}
