// im2col and col2im of NHWC tensors. A row of the matrix is an output pixel (group, image, p, q), a column one tap and
// channel (r, s, c). Sizes and their products stay below 2^31 (windows.py refuses others).

struct Window {
    u32 images, channels, height, width, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    u32 of_group, columns, stored, r, s, p, q, groups, count;  // stored: the padded length of a row (a column if transposed)
    Divisor by_of_group, by_s, by_q, by_p, by_images, by_part, by_width, by_height, by_stride_h, by_stride_w;
};
#define DIVISOR(name) u32 name, u32 name##_magic, u32 name##_shift
#define DIVIDES(name) {name, name##_magic, name##_shift}
#define WINDOW                                                                                                             \
    u32 images, u32 channels, u32 height, u32 width, u32 stride_h, u32 stride_w, u32 pad_h, u32 pad_w, u32 dilation_h,     \
        u32 dilation_w, u32 of_group, u32 columns, u32 stored, u32 r, u32 s, u32 p, u32 q, u32 groups, u32 count,          \
        DIVISOR(by_of_group), DIVISOR(by_s), DIVISOR(by_q), DIVISOR(by_p), DIVISOR(by_images), DIVISOR(by_part),           \
        DIVISOR(by_width), DIVISOR(by_height), DIVISOR(by_stride_h), DIVISOR(by_stride_w)
#define THE_WINDOW                                                                                                         \
    Window window = {images, channels, height, width, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, of_group,  \
                     columns, stored, r, s, p, q, groups, count, DIVIDES(by_of_group), DIVIDES(by_s), DIVIDES(by_q),       \
                     DIVIDES(by_p), DIVIDES(by_images), DIVIDES(by_part), DIVIDES(by_width), DIVIDES(by_height),           \
                     DIVIDES(by_stride_h), DIVIDES(by_stride_w)}

struct Pixel {
    u32 group, image, top, left;  // of the window's first tap, padding included: may be "negative"
};
__device__ __forceinline__ Pixel pixel_of(u32 row, const Window &w) {
    Pixel at;
    at.left = split(row, w.by_q) * w.stride_w - w.pad_w;
    at.top = split(row, w.by_p) * w.stride_h - w.pad_h;
    at.image = split(row, w.by_images);
    at.group = row;
    return at;
}

// The 16 bytes of a matrix row from column `column`; zeros for taps outside of the image and beyond the last column.
template <class T>
__device__ __forceinline__ uint4 window_part(const T *in, const Pixel &at, u32 column, const Window &w) {
    constexpr u32 EACH16 = 16 / sizeof(T), PER = 4 / sizeof(T), BITS = 8 * sizeof(T);
    u32 word[4] = {0, 0, 0, 0};
    if (column >= w.columns) return vector(0, 0, 0, 0);
    u32 tap = column, c = split(tap, w.by_of_group), s = split(tap, w.by_s), r = tap;
    const T *group = in + (u64)at.group * w.of_group;
    if (w.of_group % EACH16 == 0) {
        u32 h = at.top + r * w.dilation_h, x = at.left + s * w.dilation_w;
        if (h >= w.height || x >= w.width) return vector(0, 0, 0, 0);
        return *(const uint4 *)(group + (((u64)at.image * w.height + h) * w.width + x) * w.channels + c);
    }
#pragma unroll
    for (u32 i = 0; i < EACH16; i++) {
        u32 h = at.top + r * w.dilation_h, x = at.left + s * w.dilation_w;
        if (column + i < w.columns && h < w.height && x < w.width) {
            T value = group[(((u64)at.image * w.height + h) * w.width + x) * w.channels + c];
            word[i / PER] |= (u32)value << (BITS * (i % PER));
        }
        if (++c == w.of_group) {
            c = 0;
            if (++s == w.s) s = 0, r++;
        }
    }
    return vector(word[0], word[1], word[2], word[3]);
}

template <class T>
__device__ __forceinline__ void im2col_all(const T *in, T *out, const Window &w) {
    constexpr u32 EACH16 = 16 / sizeof(T), PER = 4 / sizeof(T), BITS = 8 * sizeof(T);
    EACH(i, w.count) {  // parts of 16 bytes, by_part of them in a row
        u32 row = (u32)i, column = split(row, w.by_part) * EACH16;
        uint4 part = window_part(in, pixel_of(row, w), column, w);
        T *to = out + (u64)row * w.stored + column;
        if (w.stored % EACH16 == 0) {
            *(uint4 *)to = part;
        } else {
            u32 word[4] = {part.x, part.y, part.z, part.w};
#pragma unroll
            for (u32 k = 0; k < EACH16; k++)
                if (column + k < w.stored) to[k] = (T)(word[k / PER] >> (BITS * (k % PER)));
        }
    }
}
ENTRY im2col_1(const u8 *__restrict__ in, u8 *__restrict__ out, WINDOW) { THE_WINDOW; im2col_all(in, out, window); }
ENTRY im2col_2(const u16 *__restrict__ in, u16 *__restrict__ out, WINDOW) { THE_WINDOW; im2col_all(in, out, window); }
ENTRY im2col_4(const u32 *__restrict__ in, u32 *__restrict__ out, WINDOW) { THE_WINDOW; im2col_all(in, out, window); }

template <class T>
__device__ __forceinline__ void im2col_turned(const T *in, T *out, const Window &w) {
    const u32 rows = w.images * w.p * w.q;
    Shape shape = {w.groups, rows, w.columns, w.stored};
    transpose_tiles(out, shape, [&](u64 group, u64 row, u64 column) {
        if (row >= rows) return vector(0, 0, 0, 0);
        Pixel at = pixel_of((u32)row, w);
        at.group = (u32)group;
        return window_part(in, at, (u32)column, w);
    });
}
ENTRY im2col_transposed_1(const u8 *__restrict__ in, u8 *__restrict__ out, WINDOW) { THE_WINDOW; im2col_turned(in, out, window); }
ENTRY im2col_transposed_2(const u16 *__restrict__ in, u16 *__restrict__ out, WINDOW) { THE_WINDOW; im2col_turned(in, out, window); }
ENTRY im2col_transposed_4(const u32 *__restrict__ in, u32 *__restrict__ out, WINDOW) { THE_WINDOW; im2col_turned(in, out, window); }

// Gradients of 16 bytes of channels, or of one: FP32 sums in the order of the taps, rounded once.
template <int N> struct Floats { float of[N]; };
__device__ __forceinline__ Floats<4> load_floats(const float *from, Floats<4>) {
    float4 v = *(const float4 *)from;
    Floats<4> all = {{v.x, v.y, v.z, v.w}};
    return all;
}
__device__ __forceinline__ Floats<1> load_floats(const float *from, Floats<1>) { Floats<1> one = {{*from}}; return one; }
__device__ __forceinline__ Floats<8> load_floats(const u16 *from, Floats<8>) {
    uint4 v = *(const uint4 *)from;
    Floats<8> all = {{float_of(v.x & 65535u), float_of(v.x >> 16), float_of(v.y & 65535u), float_of(v.y >> 16),
                      float_of(v.z & 65535u), float_of(v.z >> 16), float_of(v.w & 65535u), float_of(v.w >> 16)}};
    return all;
}
__device__ __forceinline__ Floats<1> load_floats(const u16 *from, Floats<1>) { Floats<1> one = {{float_of(*from)}}; return one; }
__device__ __forceinline__ void store_floats(float *to, Floats<4> v) { *(float4 *)to = make_float4(v.of[0], v.of[1], v.of[2], v.of[3]); }
__device__ __forceinline__ void store_floats(float *to, Floats<1> v) { *to = v.of[0]; }
__device__ __forceinline__ void store_floats(u16 *to, Floats<1> v) { *to = (u16)half_of(v.of[0]); }
__device__ __forceinline__ void store_floats(u16 *to, Floats<8> v) {
    u32 word[4];
#pragma unroll
    for (int i = 0; i < 4; i++) word[i] = half_of(v.of[2 * i]) | half_of(v.of[2 * i + 1]) << 16;
    *(uint4 *)to = vector(word[0], word[1], word[2], word[3]);
}

template <class T, int N>
__device__ __forceinline__ void col2im_all(const T *in, T *out, const Window &w) {
    EACH(i, w.count) {  // parts of N channels, by_part of them in a pixel
        u32 image = (u32)i, c = split(image, w.by_part) * N, x = split(image, w.by_width), h = split(image, w.by_height);
        u32 group = c, inner = split(group, w.by_of_group);
        const T *matrix = in + ((u64)group * w.images + image) * w.p * w.q * w.stored + inner;
        Floats<N> sum = {};
        for (u32 r = 0; r < w.r; r++) {
            u32 p = h + w.pad_h - r * w.dilation_h;
            if ((int)p < 0 || split(p, w.by_stride_h) || p >= w.p) continue;
            for (u32 s = 0; s < w.s; s++) {
                u32 q = x + w.pad_w - s * w.dilation_w;
                if ((int)q < 0 || split(q, w.by_stride_w) || q >= w.q) continue;
                Floats<N> part = load_floats(matrix + ((u64)p * w.q + q) * w.stored + (r * w.s + s) * w.of_group, sum);
#pragma unroll
                for (int k = 0; k < N; k++) sum.of[k] = __fadd_rn(sum.of[k], part.of[k]);
            }
        }
        store_floats(out + i * N, sum);
    }
}
ENTRY col2im_2(const u16 *__restrict__ in, u16 *__restrict__ out, WINDOW) { THE_WINDOW; col2im_all<u16, 8>(in, out, window); }
ENTRY col2im_4(const float *__restrict__ in, float *__restrict__ out, WINDOW) { THE_WINDOW; col2im_all<float, 4>(in, out, window); }
ENTRY col2im_2_single(const u16 *__restrict__ in, u16 *__restrict__ out, WINDOW) { THE_WINDOW; col2im_all<u16, 1>(in, out, window); }
ENTRY col2im_4_single(const float *__restrict__ in, float *__restrict__ out, WINDOW) { THE_WINDOW; col2im_all<float, 1>(in, out, window); }
