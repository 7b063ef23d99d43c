// The gradient of the gradient in conv_bn_op.cc, by the same convolutions.
//
// Per channel, with n rows, s = 1 / std, h = (conv - mean) * s, z = gamma * h + beta + residual and
// g = dy * act'(z), the first gradients are (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3)
//   dconv = gamma * s * (g - sum(g) / n - h * sum(g * h) / n),   dgamma = sum(g * h),
//   dbeta = sum(g),   dresidual = g,   dx = conv^T(dconv),   dweight = x * dconv,
// with the sums over n for batch statistics only. dx and dweight are linear in dconv: the objective
// of second_derivative.h weights it with p = conv(ddx, weight) + conv(x, ddweight). The code below
// differentiates
//   gamma * s * (sum(p * g) - sum(g) * sum(p) / n - sum(g * h) * sum(p * h) / n)
//   + ddgamma * sum(g * h) + ddbeta * sum(g) + sum(ddresidual * g)
// with respect to g, gamma, h and s, and h and s with respect to the convolution's output. Smooth
// activation functions have a second derivative too: g depends on z, by dy * act''(z).
#include "second_derivative.h"

#include <vector>

#include "conv_pool.h"
#include "batch_norm.h"

namespace {

// Sums over the rows of one channel.
struct Sums {
  double g = 0, gh = 0, p = 0, ph = 0, pg = 0, z = 0, zh = 0;
};

// Calls fn(at, channel) for each element of a matrix.
template <typename Fn>
void ForElements(MatrixShape matrix, Fn fn) {
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t i = 0; i < matrix.channels; ++i) fn(row * matrix.channels + i, i);
}

// Adds the convolution of `x` with `weight` to `sum`; with pooling, at the maxima of the forward
// pass.
template <typename DType>
void AddConvolution(const SecondDerivative<DType>& d, const DType* x, const float* weight,
                    std::vector<float>& sum) {
  const ConvShape& s = d.shape;
  std::vector<DType> output(s.n * s.oh * s.ow * s.o);
  ConvForward(s, x, weight, output.data());
  if (!d.pool) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += Load<float>(&output[i]);
    return;
  }
  const int64_t height = s.oh / 2, width = s.ow / 2;
  ForElements({s.n * height * width, s.o}, [&](int64_t at, int64_t i) {
    const int64_t pixel = at / s.o, column = pixel % width, row = pixel / width % height;
    const int64_t image = pixel / width / height, argmax = d.argmax_indices[at];
    const int64_t y = 2 * row + argmax / 2, x = 2 * column + argmax % 2;
    sum[at] += Load<float>(&output[((image * s.oh + y) * s.ow + x) * s.o + i]);
  });
}

// Adds the gradients of input and weights that follow from two gradients of the convolution's
// output.
template <typename DType>
void ConvolutionGradients(const SecondDerivative<DType>& d, const std::vector<DType>& first,
                          const std::vector<DType>& second) {
  const ConvShape& s = d.shape;
  const int64_t inputs = s.n * s.h * s.w * s.c, weights = s.o * s.c / s.groups * s.kh * s.kw;
  const auto unpooled = [&](const std::vector<DType>& gradient) {
    return d.pool ? ConvOutputGradient(s, {gradient.data(), d.argmax_indices})
                  : Pooled{gradient.data(), nullptr};
  };
  const Pooled of_second = unpooled(second);
  if (d.dx) ConvBackwardData(s, of_second.values, d.weight, d.dx, of_second.argmax_indices);
  ConvBackwardWeights(s, d.x, of_second.values, d.dweight, of_second.argmax_indices);
  const Pooled of_first = unpooled(first);
  if (d.dx && d.ddweight) {
    std::vector<DType> more(inputs);
    ConvBackwardData(s, of_first.values, d.ddweight, more.data(), of_first.argmax_indices);
    Add(inputs, d.dx, more.data(), d.dx);
  }
  if (d.ddx) {
    std::vector<float> more(weights);
    ConvBackwardWeights(s, d.ddx, of_first.values, more.data(), of_first.argmax_indices);
    Add(weights, d.dweight, more.data(), d.dweight);
  }
}

}  // namespace

template <typename DType>
void SecondDerivative<DType>::Run() const {
  const int64_t rows = shape.n * (pool ? (shape.oh / 2) * (shape.ow / 2) : shape.oh * shape.ow);
  const int64_t channels = shape.o, count = rows * channels;
  const MatrixShape matrix{rows, channels};
  std::vector<float> scale(channels), unused(2 * channels);
  for (int64_t i = 0; i < channels; ++i) scale[i] = gamma[i] * inverse[i];
  const Norm norm{mean, scale.data(), beta};
  const Passing<DType> passing{act, kept};
  // The same mask or derivative as in the first gradient, bit for bit.
  const auto pass = [&](const DType* from, DType* to) {
    BackwardSums(matrix, from, passing, conv, norm, to, unused.data(), unused.data() + channels);
  };
  std::vector<DType> g(count);
  pass(dy, g.data());
  std::vector<float> p(count);
  if (ddx) AddConvolution(*this, ddx, weight, p);
  if (ddweight) AddConvolution(*this, x, ddweight, p);

  const auto normalized = [&](int64_t at, int64_t i) {
    return (Load<float>(conv + at) - mean[i]) * inverse[i];
  };
  std::vector<Sums> sums(channels);
  ForElements(matrix, [&](int64_t at, int64_t i) {
    Sums& sum = sums[i];
    const double h = normalized(at, i), gradient = Load<float>(&g[at]);
    sum.g += gradient, sum.gh += gradient * h;
    sum.p += p[at], sum.ph += p[at] * h, sum.pg += p[at] * gradient;
  });

  std::vector<DType> dconv(count), second(count), dg(count);
  std::vector<float> dz(IsSmooth(act) ? count : 0);
  const double per_row = batch_statistics ? 1.0 / rows : 0.0;
  // The objective's gradient with respect to g, as above.
  const auto of_g = [&](int64_t at, int64_t i) {
    const Sums& sum = sums[i];
    const double h = normalized(at, i), a = gamma[i] * double{inverse[i]};
    const double u = ddgamma ? ddgamma[i] : 0, t = ddbeta ? ddbeta[i] : 0;
    return a * (p[at] - (sum.p + h * sum.ph) * per_row) + u * h + t +
           (ddresidual ? Load<float>(ddresidual + at) : 0);
  };
  if (IsSmooth(act)) {
    ForElements(matrix, [&](int64_t at, int64_t i) {
      const float h = normalized(at, i);
      const float z = h * gamma[i] + beta[i] + (kept ? Load<float>(kept + at) : 0);
      const float curve = act == Act::kGelu ? GeluSecondDerivative(z) : SiluSecondDerivative(z);
      dz[at] = float(of_g(at, i) * Load<float>(dy + at) * curve);
      sums[i].z += dz[at], sums[i].zh += double{dz[at]} * h;
      if (dresidual) Store(dresidual + at, dz[at]);
    });
    for (int64_t i = 0; i < channels; ++i) dbeta[i] = float(sums[i].z);
  }
  ForElements(matrix, [&](int64_t at, int64_t i) {
    const Sums& sum = sums[i];
    const double h = normalized(at, i), gradient = Load<float>(&g[at]), s = inverse[i];
    const double a = gamma[i] * s, u = ddgamma ? ddgamma[i] : 0;
    Store(&dconv[at], float(a * (gradient - (sum.g + h * sum.gh) * per_row)));
    Store(&dg[at], float(of_g(at, i)));
    // With respect to h, less its projections by the normalization; then with respect to s.
    double of_h = u * gradient - a * (gradient * sum.ph + p[at] * sum.gh) * per_row;
    double sum_h = u * sum.g - a * (sum.g * sum.ph + sum.p * sum.gh) * per_row;
    double sum_hh = u * sum.gh - 2 * a * sum.gh * sum.ph * per_row;
    if (!dz.empty()) {
      of_h += gamma[i] * double{dz[at]};
      sum_h += gamma[i] * sum.z;
      sum_hh += gamma[i] * sum.zh;
    }
    const double of_s = gamma[i] * (sum.pg - (sum.g * sum.p + sum.gh * sum.ph) * per_row);
    Store(&second[at],
          float(s * (of_h - (sum_h + h * sum_hh) * per_row) - of_s * s * s * h * per_row));
  });
  for (int64_t i = 0; i < channels; ++i) {
    const Sums& sum = sums[i];
    dgamma[i] = float(inverse[i] * (sum.pg - (sum.g * sum.p + sum.gh * sum.ph) * per_row));
    if (!dz.empty()) dgamma[i] += float(sum.zh);
  }
  pass(dg.data(), ddy);
  ConvolutionGradients(*this, dconv, second);
}

template struct SecondDerivative<float>;
template struct SecondDerivative<BFloat16>;
