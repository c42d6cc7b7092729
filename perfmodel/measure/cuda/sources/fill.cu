// Operands made on the device: every element follows from the seed and its index alone.
enum { ZEROS, NORMAL, UNIFORM, WHOLE, HALF_NORMAL, LAPLACE, CONSTANT };

__device__ inline u64 mixed(u64 x) {  // the finaliser of SplitMix64 (Steele, Lea, Flood 2014)
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ x >> 27) * 0x94D049BB133111EBull;
  return x ^ x >> 31;
}

__device__ inline float drawn(int what, u64 bits, float scale) {
  float u = ((float)(bits >> 40) + 0.5f) * 5.9604645e-8f, v = ((float)(bits & 0xFFFFFF) + 0.5f) * 5.9604645e-8f;
  float normal;
  switch (what) {
    case ZEROS: return 0;
    case CONSTANT: return scale;
    case UNIFORM: return scale * (2 * u - 1);
    case WHOLE: return (float)(int)((bits >> 32) * ((u64)(2 * scale) + 1) >> 32) - scale;
    case LAPLACE: {  // of variance 1
      float side = u - 0.5f;
      return scale * (side < 0 ? 0.70710678f : -0.70710678f) * logf(fmaxf(1 - 2 * fabsf(side), 1e-7f));
    }
    default: normal = scale * sqrtf(-2 * logf(u)) * cosf(6.2831853f * v);
  }
  return what == HALF_NORMAL ? fmaxf(normal, 0) : normal;
}

__device__ inline float held(float value, int code, float whole_range) {  // whole numbers stay inside their range
  return code < INT32 ? value : fminf(fmaxf(rintf(value), -whole_range), whole_range);
}

// `elements` of each of `sets` sets, `set_bytes` apart. INT4 comes in pairs: `elements` then counts bytes.
extern "C" __global__ void pm_fill(unsigned char *base, u64 set_bytes, u64 elements, u64 sets, int code, int what,
                                   float scale, float whole_range, u64 seed) {
  GRID_STRIDE(i, elements * sets) {
    unsigned char *set = base + i / elements * set_bytes;
    u64 bits = mixed(seed ^ mixed(i));
    float value = held(drawn(what, bits, scale), code, whole_range);
    if (code == INT4) {
      float other = held(drawn(what, mixed(bits), scale), code, whole_range);
      set[i % elements] = (unsigned char)(((int)value & 15) | ((int)other & 15) << 4);
    } else {
      put(set, code, i % elements, value);
    }
  }
}

// The same bytes in every set: guard bands and poison.
extern "C" __global__ void pm_paint(unsigned char *base, u64 set_bytes, u64 bytes, u64 sets, int value) {
  GRID_STRIDE(i, bytes * sets) base[i / bytes * set_bytes + i % bytes] = (unsigned char)value;
}
