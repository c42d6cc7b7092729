// Number formats in memory: reading one element as FP64, writing one from FP32. Codes as in perfmodel/measure/cuda/elements.py.
// No header is included, so that the run-time compiler needs none.
typedef unsigned long long u64;
enum { FP64, FP32, BF16, FP16, E4M3, E5M2, INT32, INT8, INT4 };

__device__ inline double double_of(u64 bits) {
  union { u64 whole; double number; } same = {bits};
  return same.number;
}

// Put together from its bits: arithmetic in FP64 would take the time, where a chip has little of it.
__device__ inline double small_float(unsigned bits, int exponent_bits, int fraction_bits, bool has_infinity) {
  int bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
  int exponent = (int)(bits >> fraction_bits) & top;
  u64 fraction = bits & ((1u << fraction_bits) - 1), sign = (u64)(bits >> (exponent_bits + fraction_bits) & 1) << 63;
  if (exponent == top && (has_infinity || fraction == (1u << fraction_bits) - 1))
    return double_of(has_infinity && fraction == 0 ? sign | 0x7FFull << 52 : 0x7FF8ull << 48);
  if (exponent == 0) {
    double unit = double_of((u64)(1024 - bias - fraction_bits) << 52);
    return fraction == 0 ? double_of(sign) : double_of(sign | 0x3FFull << 52) * (double)fraction * unit;
  }
  return double_of(sign | (u64)(exponent - bias + 1023) << 52 | fraction << (52 - fraction_bits));
}

__device__ inline double element(const void *base, int code, u64 i) {
  switch (code) {
    case FP64: return ((const double *)base)[i];
    case FP32: return ((const float *)base)[i];
    case BF16: return small_float(((const unsigned short *)base)[i], 8, 7, true);
    case FP16: return small_float(((const unsigned short *)base)[i], 5, 10, true);
    case E4M3: return small_float(((const unsigned char *)base)[i], 4, 3, false);
    case E5M2: return small_float(((const unsigned char *)base)[i], 5, 2, true);
    case INT32: return ((const int *)base)[i];
    case INT8: return ((const signed char *)base)[i];
    default: {  // two INT4 in a byte, the lower half first
      int nibble = ((const unsigned char *)base)[i >> 1] >> (i & 1 ? 4 : 0) & 15;
      return nibble > 7 ? nibble - 16 : nibble;
    }
  }
}

// To nearest even, saturated: what is written here never exceeds the format by rounding alone.
__device__ inline unsigned to_small_float(float value, int exponent_bits, int fraction_bits, float largest) {
  int bias = (1 << (exponent_bits - 1)) - 1;
  unsigned sign = value < 0 ? 1u << (exponent_bits + fraction_bits) : 0;
  float size = fminf(fabsf(value), largest);
  if (size == 0) return sign;
  int exponent = ilogbf(size);
  if (exponent < 1 - bias) exponent = 1 - bias;
  unsigned whole = (unsigned)rintf(ldexpf(size, fraction_bits - exponent));
  if (whole >> (fraction_bits + 1)) whole >>= 1, ++exponent;
  if (whole >> fraction_bits == 0) return sign | whole;
  return sign | (unsigned)(exponent + bias) << fraction_bits | (whole & ((1u << fraction_bits) - 1));
}

__device__ inline void put(void *base, int code, u64 i, float value) {
  switch (code) {
    case FP64: ((double *)base)[i] = value; break;
    case FP32: ((float *)base)[i] = value; break;
    case BF16: ((unsigned short *)base)[i] = (unsigned short)to_small_float(value, 8, 7, 3.3895314e38f); break;
    case FP16: ((unsigned short *)base)[i] = (unsigned short)to_small_float(value, 5, 10, 65504.0f); break;
    case E4M3: ((unsigned char *)base)[i] = (unsigned char)to_small_float(value, 4, 3, 448.0f); break;
    case E5M2: ((unsigned char *)base)[i] = (unsigned char)to_small_float(value, 5, 2, 57344.0f); break;
    case INT32: ((int *)base)[i] = (int)value; break;
    default: ((signed char *)base)[i] = (signed char)(int)value;
  }
}

#define GRID_STRIDE(i, count) \
  for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < (count); i += (u64)gridDim.x * blockDim.x)
