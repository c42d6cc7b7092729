// [rows, cols] -> [cols, rows] by tiles of 64 x 64 in shared memory: 16-byte loads along a row, 4-byte stores along a
// column, blocks of 4 x 4 bytes or 2 x 2 halves turned in registers. What a row holds is the loader's business.

#define TILE 64
struct Shape {
    u64 batch, rows, cols, rows_out;  // a column of the output holds rows_out >= rows elements; the loader gives zeros there
};

// Elements of the 16 bytes from element `at` of a row that has `size`; zeros beyond. `vectors`: rows start at 16 bytes.
template <class T>
__device__ __forceinline__ uint4 row_part(const T *row, u64 at, u64 size, bool vectors) {
    constexpr int EACH16 = 16 / sizeof(T), PER = 4 / sizeof(T), BITS = 8 * sizeof(T);
    if (vectors) return at < size ? *(const uint4 *)(row + at) : vector(0, 0, 0, 0);
    u32 word[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < EACH16; i++)
        if (at + i < size) word[i / PER] |= (u32)row[at + i] << (BITS * (i % PER));
    return vector(word[0], word[1], word[2], word[3]);
}

// A PER x PER block of elements held in PER words, one of each row: words become one of each column.
__device__ __forceinline__ void turn(u32 (&w)[4]) {
    u32 a = __byte_perm(w[0], w[1], 0x5140), b = __byte_perm(w[2], w[3], 0x5140);  // columns 0, 1 of rows 0, 1 and 2, 3
    u32 c = __byte_perm(w[0], w[1], 0x7362), d = __byte_perm(w[2], w[3], 0x7362);
    w[0] = __byte_perm(a, b, 0x5410), w[1] = __byte_perm(a, b, 0x7632);
    w[2] = __byte_perm(c, d, 0x5410), w[3] = __byte_perm(c, d, 0x7632);
}
__device__ __forceinline__ void turn(u32 (&w)[2]) {
    u32 a = __byte_perm(w[0], w[1], 0x5410), b = __byte_perm(w[0], w[1], 0x7632);
    w[0] = a, w[1] = b;
}
__device__ __forceinline__ void turn(u32 (&)[1]) {}

template <class T>
__device__ __forceinline__ void store_column(T *out, u64 col, u64 row, u32 word, Shape shape) {
    constexpr int PER = 4 / sizeof(T), BITS = 8 * sizeof(T);
    if (col >= shape.cols || row >= shape.rows_out) return;
    T *to = out + col * shape.rows_out + row;
    if (shape.rows_out % PER == 0) {
        *(u32 *)to = word;
    } else {
#pragma unroll
        for (int i = 0; i < PER; i++)
            if (row + i < shape.rows_out) to[i] = (T)(word >> (BITS * i));
    }
}

// `load(matrix, row, col)`: the 16 bytes of one matrix of the batch from there, zeros outside of it.
template <class T, class LOAD>
__device__ __forceinline__ void transpose_tiles(T *out, Shape shape, LOAD load) {
    constexpr int PER = 4 / sizeof(T), WORDS_OF_ROW = TILE / PER, VECTORS = WORDS_OF_ROW / 4;
    __shared__ u32 tile[TILE][WORDS_OF_ROW + 1];
    const u64 across = (shape.cols + TILE - 1) / TILE, tiles = across * ((shape.rows_out + TILE - 1) / TILE);
    for (u64 t = blockIdx.x; t < tiles * shape.batch; t += gridDim.x) {
        const u64 matrix = t / tiles, row = t % tiles / across * TILE, col = t % across * TILE;
        T *to = out + matrix * shape.cols * shape.rows_out;
#pragma unroll
        for (u32 i = threadIdx.x; i < TILE * VECTORS; i += THREADS) {
            u32 r = i / VECTORS, v = i % VECTORS;
            uint4 part = load(matrix, row + r, col + v * (16 / sizeof(T)));
            tile[r][4 * v] = part.x, tile[r][4 * v + 1] = part.y, tile[r][4 * v + 2] = part.z, tile[r][4 * v + 3] = part.w;
        }
        __syncthreads();
#pragma unroll 4
        for (u32 i = threadIdx.x; i < (TILE / PER) * WORDS_OF_ROW; i += THREADS) {
            u32 r = i % (TILE / PER) * PER, w = i / (TILE / PER), word[PER];
#pragma unroll
            for (int k = 0; k < PER; k++) word[k] = tile[r + k][w];
            turn(word);
#pragma unroll
            for (int k = 0; k < PER; k++) store_column(to, col + w * PER + k, row + r, word[k], shape);
        }
        __syncthreads();
    }
}

template <class T>
__device__ __forceinline__ void transpose_all(const T *in, T *out, u64 rows, u64 cols) {
    const bool vectors = cols * sizeof(T) % 16 == 0;
    Shape shape = {1, rows, cols, rows};
    transpose_tiles(out, shape, [&](u64, u64 row, u64 col) {
        return row < rows ? row_part(in + row * cols, col, cols, vectors) : vector(0, 0, 0, 0);
    });
}
ENTRY transpose_1(const u8 *__restrict__ in, u8 *__restrict__ out, u64 rows, u64 cols) { transpose_all(in, out, rows, cols); }
ENTRY transpose_2(const u16 *__restrict__ in, u16 *__restrict__ out, u64 rows, u64 cols) { transpose_all(in, out, rows, cols); }
ENTRY transpose_4(const u32 *__restrict__ in, u32 *__restrict__ out, u64 rows, u64 cols) { transpose_all(in, out, rows, cols); }

// What is added to one element by itself.
template <int ROUNDING>
__device__ __forceinline__ float drawn(u64 element, Key key) {
    if (ROUNDING == NEAREST) return 0;
    const u32 calls = ROUNDING == NEAREST ? 4 : ROUNDING;
    uint4 r = philox(element / calls, key);
    u32 which = (u32)(element % calls) / (calls / 4);
    u32 word = which == 0 ? r.x : which == 1 ? r.y : which == 2 ? r.z : r.w;
    return ROUNDING == OCTETS ? octet(word, (int)(element % 4)) : __fmul_rn((float)(word >> 8), 1.0f / 16777216.0f);
}

// FP32 -> codes in both orders. Where rows are no multiple of 16 elements, the generator's groups straddle them, and
// each element is coded by itself, slowly.
template <int ROUNDING>
__device__ __forceinline__ uint4 code_part(const float *x, signed char *codes, u64 rows, u64 cols, u64 row, u64 col, float scale,
                                           Key key, int bits, u32 &largest) {
    if (row >= rows || col >= cols) return vector(0, 0, 0, 0);
    const u64 at = row * cols + col;
    float value[16];
    int q[16];
    if (cols % 16 == 0) {
        load16(x + at, value);
        largest = largest16(largest, value);
        code16<ROUNDING>(value, q, at / 16, scale, key, bits);
        store_codes(codes + at, q);
        return sixteen_bytes(q);
    }
    u32 word[4] = {0, 0, 0, 0};
#pragma unroll 1
    for (u32 i = 0; i < 4; i++) {
        u32 four = 0;
        for (u32 k = 0; k < 4 && col + 4 * i + k < cols; k++) {
            u64 element = at + 4 * i + k;
            largest = larger(largest, magnitude(x[element]));
            int one = code<ROUNDING>(x[element], scale, drawn<ROUNDING>(element, key), bits);
            codes[element] = (signed char)one;
            four |= (one & 255u) << (8 * k);
        }
        word[0] = word[1], word[1] = word[2], word[2] = word[3], word[3] = four;
    }
    return vector(word[0], word[1], word[2], word[3]);
}

#define QUANTISE_TRANSPOSED(name, ROUNDING)                                                                              \
    ENTRY quantise_transposed_##name(const float *__restrict__ x, signed char *__restrict__ codes,                        \
                                     signed char *__restrict__ turned, const float *__restrict__ scale, float *absmax,   \
                                     float *next_scale, u32 *workspace, u64 rows, u64 cols, u32 low, u32 high, u32 step, \
                                     int bits) {                                                                         \
        Key key = {low, high, step};                                                                                     \
        Shape shape = {1, rows, cols, rows};                                                                                \
        const float factor = scale[0];                                                                                   \
        u32 largest = 0;                                                                                                 \
        transpose_tiles((u8 *)turned, shape, [&](u64, u64 row, u64 col) {                                                     \
            return code_part<ROUNDING>(x, codes, rows, cols, row, col, factor, key, bits, largest);                      \
        });                                                                                                              \
        finish_absmax(largest, absmax, next_scale, workspace, bits);                                                     \
    }
QUANTISE_TRANSPOSED(nearest, NEAREST)
QUANTISE_TRANSPOSED(philox10x16, OCTETS)
QUANTISE_TRANSPOSED(philox10x4, WORDS)
